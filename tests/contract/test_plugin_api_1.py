"""A plugin that was written for vfioctl 0.1 still works: found, asked, its steps planned, applied and undone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from reference import ROOT
from third_party import environment, run

from vfioctl.testing.pytest_plugin import can_mount

FROZEN = ROOT / "tests/data/plugin_api_1"
PLAN = """\
import subprocess, sys
from pathlib import Path
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt
import test_governor as frozen

root = Path("root")
root.mkdir()
host = FakeHost(frozen.machine(), root)
host.start()
try:
    libvirt = FakeLibvirt(host)
    libvirt.install()
    libvirt.manage("win11", "[governor]\\ngovernor = 'performance'\\n")
    Path("win11.xml").write_bytes(frozen.XML)
    argv = [*host.argv, "plan", "win11", "--xml", "win11.xml", "--format", "json"]
    sys.exit(subprocess.run(argv, check=False).returncode)
finally:
    host.stop()
"""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment in which this core and the frozen plugin are installed."""
    return environment(tmp_path_factory.mktemp("api-1"), FROZEN)


@pytest.fixture
def machine() -> None:
    if not can_mount():
        pytest.skip("/dev/fuse cannot be used here")


def test_it_says_what_it_was_written_for() -> None:
    assert "\napi = 1\n" in (FROZEN / "vfioctl_governor/vfioctl-plugin.toml").read_text()


def test_it_is_listed_as_usable_with_what_its_author_can_change(scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    said = run(scratch, "-I", "-m", "vfioctl.entry", "plugins", "list", "--format", "json", "--root", tmp_path)
    rows = {row["name"]: row for row in json.loads(said)["data"]["plugins"]}
    assert (rows["governor"]["api"], rows["governor"]["status"]) == (1, "ok")
    assert "API 1, which still works; for API 2 import everything from vfioctl.plugin" in rows["governor"]["note"]
    assert {row["note"] for name, row in rows.items() if name != "governor"} == {""}


def test_its_steps_are_in_the_plan(scratch: Path, tmp_path: Path, machine: None) -> None:
    code = f"import sys\nsys.path.append({str(FROZEN / 'tests')!r})\n{PLAN}"
    said = run(scratch, "-c", code, cwd=tmp_path)
    plan = json.loads(said[said.index("{") :])["data"]["plan"]
    assert {"governor.policy0", "governor.policy1"} <= {step["id"] for step in plan["steps"]}


def test_its_own_tests_pass(scratch: Path, tmp_path: Path, machine: None) -> None:
    """They start and stop a guest, let a later step fail, and leave a guest alone that does not ask for it."""
    said = run(scratch, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", FROZEN / "pyproject.toml",
               f"--basetemp={tmp_path / 'base'}", FROZEN / "tests", cwd=tmp_path)  # fmt: skip
    assert re.search(r"\b4 passed", said)
