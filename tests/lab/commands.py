"""Runs the programs that the lab needs outside: own session, deadline, output kept in a file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

from tests.lab.errors import LabError

TAIL = 25


def run(argv: Sequence[str], log: str, deadline: float) -> None:
    """To its end; LabError with the tail of its output when it fails or takes longer."""
    with open(log, "ab") as output:
        output.write(f"+ {' '.join(argv)}\n".encode())
        output.flush()
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )  # fmt: skip
        try:
            status = child.wait(deadline)
        except subprocess.TimeoutExpired:
            raise LabError(f"{argv[0]} did not end within {deadline:.0f} s.\n{tail(log)}") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if status:
        raise LabError(f"{argv[0]} ended with status {status}.\n{tail(log)}")


def output_of(argv: Sequence[str]) -> str:
    """What it prints; "" when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip() if done.returncode == 0 else ""


def tail(path: str, lines: int = TAIL) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-lines:]).rstrip()
