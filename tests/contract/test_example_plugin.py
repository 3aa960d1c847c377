"""The example plugin is what docs/plugins/writing.md says: a third party's wheel, installed beside the core."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from third_party import environment, run

from vfioctl.testing.pytest_plugin import can_mount

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "contrib" / "example-plugin"
PAGE = ROOT / "docs" / "plugins" / "writing.md"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment in which this core and the example are installed."""
    return environment(tmp_path_factory.mktemp("third-party"), EXAMPLE)


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
