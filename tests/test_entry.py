"""Which command lines are libvirt's and which are a person's, and how each ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from vfioctl.entry import is_from_libvirt


@pytest.mark.parametrize(
    "argv",
    [
        ["hook", "win11", "prepare", "begin", "-"],
        ["hook", "install", "prepare", "begin", "-"],
        ["hook", "-h", "release", "end", "-"],
        ["hook", "win11", "an operation of a newer libvirt", "begin", "-"],
        ["hook", "win11", "prepare"],
    ],
)
def test_these_are_libvirts(argv: list[str]) -> None:
    assert is_from_libvirt(argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["hook"],
        ["hook", "-h"],
        ["hook", "--help"],
        ["hook", "lst"],
        ["hook", "verify"],
        ["hook", "--format", "json", "verify"],
        ["hook", "verify", "--format", "json", "--no-color"],
        ["status"],
        [],
    ],
)
def test_these_are_a_persons(argv: list[str]) -> None:
    assert not is_from_libvirt(argv)


@pytest.mark.parametrize("argv", [["hook", "win11", "prepare", "begin", "-"], ["status"]])
def test_what_was_registered_for_the_end_runs_and_the_status_is_kept(argv: list[str]) -> None:
    code = f"import atexit, os\nfrom vfioctl.entry import end\natexit.register(os.write, 1, b'bye')\nend({argv}, 3)"
    ended = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, b"bye", b"")


IMPORTED = ("vfioctl.cli.app", "vfioctl.cli.commands.history")
INTERRUPTS = [("vfioctl.compose", signal.SIGINT), *product(IMPORTED, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))]


@pytest.mark.parametrize(("module", "number"), INTERRUPTS)
def test_an_interrupt_while_it_imports_is_no_traceback(tmp_path: Path, module: str, number: signal.Signals) -> None:
    heard = "default_int_handler" if number is signal.SIGINT else "SIG_DFL"  # below nohup SIGHUP is ignored
    finder = (
        f"import os, signal, sys\nsignal.signal({number:d}, signal.{heard})\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), {number:d})\n"
        "sys.meta_path.insert(0, Finder())\n"
        f"sys.argv = ['vfioctl', '--root', {str(tmp_path)!r}, 'history']\n"
        "from vfioctl.entry import main\nmain()"
    )
    ended = subprocess.run([sys.executable, "-I", "-c", finder], capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (128 + number, False)
