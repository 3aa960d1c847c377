"""A command on a terminal of its own, which is answered as a person would."""

from __future__ import annotations

import os
import pty
import subprocess

from hand_offs import Stage


def on_a_terminal(on: Stage, words: tuple[str, ...], typed: bytes) -> tuple[int, str]:
    """The status of the command on a terminal where `typed` answers its question, and everything that it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*on.host.argv, *words], stdin=theirs, stdout=theirs, stderr=theirs,
                               start_new_session=True, cwd="/")  # fmt: skip
    os.close(theirs)
    shown, sent = b"", False
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # EIO: the last one who had it open has ended
            break
        if b"[y/N]" in shown and not sent:
            sent = bool(os.write(ours, typed))
    os.close(ours)
    return process.wait(60), shown.decode()
