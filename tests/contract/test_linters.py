"""The tools that read the source: style, types, layers, shell. Each is one test, with the tool's own words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = sorted((ROOT / "plugins").glob("*/vfioctl_*"))
LONGEST_FILE = 400


def run(*argv: str) -> None:
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"


def test_ruff_finds_nothing():
    run(sys.executable, "-m", "ruff", "check", ".")


def test_mypy_is_content_with_the_core():
    run(sys.executable, "-m", "mypy", "vfioctl")


@pytest.mark.parametrize("package", PLUGINS, ids=lambda path: path.name)
def test_mypy_is_content_with_each_plugin(package):
    run(sys.executable, "-m", "mypy", str(package))


def test_the_layers_hold():
    run(shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or "lint-imports")


def shell_scripts() -> list[Path]:
    found = [path for path in ROOT.glob("contrib/**/*.sh*") if path.suffix in (".sh", ".in")]
    maintainer = [path for path in (ROOT / "contrib/deb").iterdir() if not path.suffix]  # preinst, postinst, …
    elsewhere = (*maintainer, ROOT / ".ci" / "run", ROOT / "tests" / "lab" / "standins" / "nvidia-nodes")
    return [*found, *elsewhere, *ROOT.glob("vfioctl/testing/**/*.sh")]


@pytest.mark.parametrize("script", shell_scripts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_shellcheck_finds_nothing(script):
    if not shutil.which("shellcheck"):
        assert not os.environ.get("CI"), "shellcheck is not installed"
        pytest.skip("shellcheck is not installed")
    run("shellcheck", "--severity=style", str(script))


def test_no_file_is_longer_than_a_reader_bears():
    sources = [*ROOT.glob("vfioctl/**/*.py"), *ROOT.glob("plugins/*/vfioctl_*/**/*.py")]
    long = {str(path.relative_to(ROOT)): n for path in sources if (n := path.read_text().count("\n")) > LONGEST_FILE}
    assert long == {}
