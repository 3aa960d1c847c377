"""Runs programs inside: a fixed environment, a deadline, their output as text."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence

from tests.lab.inside import checks
from tests.lab.inside.checks import CheckError

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "TERM": "dumb",
    "LIBVIRT_DEFAULT_URI": "qemu:///system",
}
Done = subprocess.CompletedProcess[str]


def run(argv: Sequence[str], deadline: float = 90.0, text: str = "") -> Done:
    """Run a program to its end, with `text` on its stdin."""
    try:
        return subprocess.run(
            argv, input=text, capture_output=True, text=True, env=ENVIRONMENT, check=False, errors="replace",
            timeout=deadline * checks.PATIENCE[0],
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CheckError(f"{' '.join(argv)} did not end within {deadline * checks.PATIENCE[0]:.0f} s.") from None


def must(argv: Sequence[str], deadline: float = 90.0) -> str:
    """Run a program that has to succeed; what it printed."""
    done = run(argv, deadline)
    if done.returncode:
        raise CheckError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def timed(argv: Sequence[str], deadline: float = 120.0) -> tuple[Done, float]:
    started = time.monotonic()
    done = run(argv, deadline)
    return done, time.monotonic() - started


def spawn(argv: Sequence[str], log: str = os.devnull) -> subprocess.Popen[bytes]:
    """Start a program that outlives the call."""
    with open(log, "ab") as output:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=ENVIRONMENT, start_new_session=True
        )  # fmt: skip


def as_unit(name: str, argv: Sequence[str], *properties: str) -> None:
    """Start a program as a transient service of its own."""
    options = [f"--property={value}" for value in properties]
    must(["systemd-run", f"--unit={name}", "--quiet", *options, "--", *argv])


def unit(name: str, value: str = "ActiveState") -> str:
    """One property of a unit, as systemctl shows it."""
    return must(["systemctl", "show", "--property", value, "--value", name]).strip()
