"""The example plugin is what docs/plugins/writing.md says: a third party's wheel, installed beside the core."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from vfioctl.testing.pytest_plugin import can_mount

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "contrib" / "example-plugin"
PAGE = ROOT / "docs" / "plugins" / "writing.md"


def run(*argv: str | Path, cwd: Path | None = None) -> str:
    ended = subprocess.run(
        [str(word) for word in argv], capture_output=True, text=True, check=False, cwd=cwd,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment of its own, in which this core and the built wheel of the example are installed."""
    place = tmp_path_factory.mktemp("third-party")
    (place / "wheels").mkdir()
    pip = (sys.executable, "-m", "pip", "-q")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", place / "wheels", EXAMPLE)
    venv.create(place / "venv", with_pip=False)
    python = place / "venv" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip())
    here = run(sys.executable, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip()
    (site / "core.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    wheel, = (place / "wheels").glob("vfioctl_governor-*.whl")
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel)
    return python


def test_its_own_tests_pass_with_it_installed_as_a_wheel(scratch: Path, tmp_path: Path) -> None:
    if not can_mount():
        pytest.skip("/dev/fuse cannot be used here")
    said = run(scratch, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", EXAMPLE / "pyproject.toml",
               f"--basetemp={tmp_path / 'base'}", EXAMPLE / "tests", cwd=tmp_path)  # fmt: skip
    assert re.search(r"\b4 passed", said)


def test_it_is_listed_with_its_version(scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    said = run(scratch, "-I", "-m", "vfioctl.entry", "plugins", "list", "--format", "json", "--root", tmp_path)
    rows = {row["name"]: row for row in json.loads(said)["data"]["plugins"]}
    assert (rows["governor"]["version"], rows["governor"]["status"]) == ("0.1.0", "ok")


def test_the_linters_are_content_with_it() -> None:
    run(sys.executable, "-m", "ruff", "check", EXAMPLE)
    run(sys.executable, "-m", "mypy", "--strict", EXAMPLE / "vfioctl_governor")


SHOWN = ("pyproject.toml", "vfioctl_governor/plugin.py", "vfioctl_governor/vfioctl-plugin.toml")


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_shows_the_file_as_it_is(name: str) -> None:
    shown = {text.strip() for text in re.findall(r"```\w*\n(.*?)```", PAGE.read_text(), re.DOTALL)}
    whole = (EXAMPLE / name).read_text().strip()
    assert whole in shown, f"{PAGE.name} shows another {name}"
