"""A real shell at a terminal, in which somebody types a line and TAB, and what the line has become then."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

PROGRAMS = {
    "bash": ("bash", "--noprofile", "--rcfile", "{home}/.bashrc", "-i"),
    "zsh": ("zsh", "-i"),
    "fish": ("fish", "--private", "-i"),
}
BEGIN_OF_LINE, TAB = b"\x01", b"\t"
PATIENCE = 30.0


def completed(shell: str, line: str, home: Path, environ: Mapping[str, str]) -> str:
    """The words of `line` after one TAB at its end, as the shell hands them to a command; "" when it ends before."""
    said = home / "said"
    said.unlink(missing_ok=True)
    ours, theirs = pty.openpty()
    argv = ["setsid", "-c", *(word.format(home=home) for word in PROGRAMS[shell])]  # fish wants to control its terminal
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=home, env=dict(environ))
    os.close(theirs)
    try:
        os.write(ours, line.encode() + TAB + BEGIN_OF_LINE + f"echo >{said} ".encode() + b"\r")
        _read_until(ours, said)
        return said.read_text().removesuffix("\n") if said.exists() else ""
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(ours)


def _read_until(terminal: int, said: Path) -> None:
    """Take what the shell shows, so that it can go on, until the file is there and has a whole line."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and not (said.exists() and said.read_text().endswith("\n")):
        if select.select([terminal], [], [], 0.02)[0]:
            try:
                os.read(terminal, 1 << 16)
            except OSError:  # EIO: the shell has ended
                return
