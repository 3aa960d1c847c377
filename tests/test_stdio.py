"""Closed and full standard descriptors: no file becomes one of them, nothing is lost in silence, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (
    ["--help"], ["--version"], ["gpu", "list"], ["gpu", "holders"], ["status"], ["history"], ["plan", "win11"],
    ["recover"], ["hook", "verify"], ["config", "validate"], ["plugins", "list"], ["nosuch"],
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty host."""
    for place in ("sys/bus/pci/devices", "proc", "dev", "etc/vfioctl", "etc/libvirt/hooks", "run", "var/lib"):
        (tmp_path / place).mkdir(parents=True)
    return tmp_path


def run(root: Path, *argv: str, redirection: str = "") -> subprocess.CompletedProcess[str]:
    """vfioctl on the host below `root`, started by a shell with this redirection."""
    command = [sys.executable, "-I", "-m", "vfioctl.testing.entry", "--root", str(root), *argv]
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", *command], capture_output=True, text=True, check=False, timeout=60
    )


def test_closed_descriptors_are_filled_so_that_no_file_becomes_one_of_them(tmp_path: Path) -> None:
    program = (
        "import os\nfrom vfioctl.stdio import guard\nos.closerange(0, 3)\nguard()\n"
        f"fd = os.open({str(tmp_path / 'journal')!r}, os.O_WRONLY | os.O_CREAT)\nos.write(2, b'noise')\n"
        "raise SystemExit(0 if fd > 2 else fd + 10)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert (tmp_path / "journal").read_bytes() == b""


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_ends_as_ever_with_a_closed_descriptor(root: Path, argv: list[str], redirection: str) -> None:
    plain, closed = run(root, *argv), run(root, *argv, redirection=redirection)
    assert closed.returncode == plain.returncode
    assert closed.stdout == ("" if ">&-" in redirection.split() else plain.stdout)
    assert closed.stderr == ("" if "2>&-" in redirection else plain.stderr)


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_what_a_full_disk_loses_is_said_and_the_command_fails(root: Path, argv: list[str]) -> None:
    plain, full = run(root, *argv), run(root, *argv, redirection=">/dev/full")
    assert "Traceback" not in full.stderr
    assert full.returncode == (plain.returncode or 1)
    assert ("could not be written: No space left on device. " in full.stderr) is bool(plain.stdout)


def test_a_lost_envelope_is_told_on_stderr_as_well(root: Path) -> None:
    full = run(root, "status", "--format", "json", redirection=">/dev/full")
    assert full.returncode == 1
    assert "[output.lost]" in full.stderr


def test_a_full_stderr_changes_no_status(root: Path) -> None:
    assert run(root, "nosuch", redirection="2>/dev/full").returncode == 2


def test_a_reader_that_has_gone_is_no_failure(root: Path) -> None:
    quiet = run(root, "plugins", "list", redirection="| true")
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_json_says_what_a_closed_stdin_changes_nothing_about(root: Path) -> None:
    assert json.loads(run(root, "gpu", "list", "--format", "json", redirection="<&-").stdout)["errors"] == []
