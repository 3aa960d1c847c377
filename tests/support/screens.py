"""A terminal as a person sees it: tmux draws what a program writes, types keys, and says what stands there."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vfioctl.wait import until

COLUMNS, ROWS = 80, 24
PATIENCE = 60.0


class Screen:
    """A terminal of 80 x 24 with a program on it; tmux listens on the socket `place`."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def tmux(self, *words: str, environ: Mapping[str, str] | None = None) -> str:
        argv = ("tmux", "-u", "-f", "/dev/null", "-S", str(self.place), *words)
        ended = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE, env=environ)
        return ended.stdout

    def type(self, line: str) -> None:
        """`line`, and when it stands there, the key that ends it."""
        self.tmux("send-keys", "-l", line)
        self.ends_with(line)
        self.tmux("send-keys", "Enter")

    def shows(self, *, escapes: bool = False) -> str:
        """Everything since the program began, a line that the terminal broke as one; `escapes`: with its colours."""
        text = self.tmux("capture-pane", "-p", "-J", "-S", "-", *(("-e",) if escapes else ()))
        return "\n".join(line.rstrip() for line in text.rstrip("\n").split("\n"))

    def last(self) -> str:
        """The line with the cursor."""
        return self.shows().rpartition("\n")[2]

    def ends_with(self, *ends: str) -> None:
        """Wait until the last line ends with one of `ends`."""
        asked = until(lambda: self.last().endswith(tuple(end.rstrip() for end in ends)), PATIENCE)
        assert asked, f"after {PATIENCE:g} s there stands:\n{self.shows()}"


@contextmanager
def screen(argv: tuple[str, ...], place: Path) -> Iterator[Screen]:
    """`argv` on a terminal of its own, which ends with the block."""
    shown = Screen(place / "tmux")
    environ = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "TMUX", "NO_COLOR")}
    size = ("-x", str(COLUMNS), "-y", str(ROWS))
    line = f"env TZ=UTC LC_ALL=C.UTF-8 SHELL=/bin/bash {shlex.join(argv)}"
    shown.tmux("start-server", ";", "set-option", "-g", "history-limit", "20000", ";",
               "new-session", "-d", *size, line, environ=environ)  # fmt: skip
    try:
        yield shown
    finally:
        shown.tmux("kill-server")
