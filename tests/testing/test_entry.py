"""The kit's console script ends as vfioctl's own does."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "vfioctl.compose": os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from vfioctl.testing.entry import main
sys.exit(main(["--root", sys.argv[1], "history"]))
"""


def test_an_interrupt_while_it_imports_is_no_traceback(tmp_path: Path) -> None:
    argv = [sys.executable, "-I", "-c", INTERRUPTED, str(tmp_path)]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGINT, "")
