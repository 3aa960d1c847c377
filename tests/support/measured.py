"""Measures the coverage of this process, however it was started and however it ends; for contrib/test.sh --coverage.

A .pth file of the virtual environment imports it, since the hook gets a clean environment and `python -I`.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress


def begin(config: str) -> None:
    """Measure from here on. The simulated machine is not measured: it would only be slower."""
    if "vfioctl.testing.forkserver" in sys.orig_argv:
        return
    import coverage

    os.environ["COVERAGE_PROCESS_START"] = config
    coverage.process_startup()
    del os.environ["COVERAGE_PROCESS_START"]  # our own .pth file does for every process what coverage's would
    _save_before_a_kill()


def _save_before_a_kill() -> None:
    """A process that sends itself SIGKILL, as at a boundary of the journal, has told before what it ran."""
    import coverage

    kill = os.kill

    def saving(pid: int, number: int) -> None:
        running = coverage.Coverage.current()
        if running and pid == os.getpid() and number == signal.SIGKILL:
            with suppress(Exception):
                running.save()
        kill(pid, number)

    os.kill = saving
