"""Runs a program of the caller's, such as ssh, with bytes that go in and come out; ends it when nothing moves any more.

It has the caller's environment and no terminal: it can ask nobody. Never on the way of a hook, which is proc.py's.
"""

from __future__ import annotations

import os
import select
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.frozen import frozen
from vfioctl.proc import kill_group
from vfioctl.wait import until

if TYPE_CHECKING:
    from subprocess import Popen

CHUNK = 1 << 16
MOST = 1 << 16  # bytes of complaints that are kept


@frozen
class Piped:
    """A program that ended: its status, negative for a signal, and the end of what it complained of."""

    status: int
    stderr: str


def piped(argv: Sequence[str], chunks: Iterable[bytes], take: Callable[[bytes], object], *, stall: float) -> Piped:
    """Run `argv`, give it `chunks` on its standard input, and `take` what it writes, piece by piece.

    Raises StepFailed("program.missing", "program.unusable"), DeadlineExceeded("program.deadline") when no byte has
    moved for `stall` seconds. It is ended by this, and by what `chunks` and `take` raise.
    """
    child = _start(argv)
    try:
        complaints = _flow(child, iter(chunks), take, stall)
        if not until(lambda: child.poll() is not None, stall):  # it has closed its outputs and goes on
            raise TimeoutError
    except TimeoutError as error:
        kill_group(child)
        said = f"{argv[0]} did nothing for {stall:g} s and was killed."
        raise DeadlineExceeded("program.deadline", said) from error
    except BaseException:
        kill_group(child)
        raise
    finally:
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream:
                stream.close()
    return Piped(child.returncode, complaints.decode(errors="replace"))


def _start(argv: Sequence[str]) -> Popen[bytes]:
    from subprocess import PIPE, Popen

    program = shutil.which(argv[0])
    if program is None:
        raise StepFailed("program.missing", f"The program {argv[0]} is not installed.")
    try:
        return Popen([program, *argv[1:]], stdin=PIPE, stdout=PIPE, stderr=PIPE, bufsize=0, start_new_session=True)
    except OSError as error:
        raise StepFailed("program.unusable", f"{argv[0]} cannot be started: {error.strerror}.") from error


def _flow(child: Popen[bytes], chunks: Iterator[bytes], take: Callable[[bytes], object], stall: float) -> bytes:
    """Move bytes both ways until it has closed its outputs; the end of what came on stderr. Raises TimeoutError."""
    assert child.stdin
    assert child.stdout
    assert child.stderr
    feed, out, err = child.stdin.fileno(), child.stdout.fileno(), child.stderr.fileno()
    os.set_blocking(feed, False)
    left, waiting, complaints = {out, err}, next(chunks, b""), b""
    poller = select.poll()
    for fd, what in ((feed, select.POLLOUT), (out, select.POLLIN), (err, select.POLLIN)):
        poller.register(fd, what)
    while left:
        ready = [fd for fd, _ in poller.poll(stall * 1000)]
        if not ready:
            raise TimeoutError
        if feed in ready:
            waiting = _fed(child, waiting, chunks)
            if not waiting:
                poller.unregister(feed)
        for fd in left.intersection(ready):
            data = os.read(fd, CHUNK)
            if not data:
                poller.unregister(fd)
                left.remove(fd)
            elif fd == out:
                take(data)
            else:
                complaints = (complaints + data)[-MOST:]
    return complaints


def _fed(child: Popen[bytes], waiting: bytes, chunks: Iterator[bytes]) -> bytes:
    """What is still to be written, after as much as it takes now; b"" when its input is closed."""
    assert child.stdin
    try:
        rest = waiting[os.write(child.stdin.fileno(), waiting) :] if waiting else b""
    except BrokenPipeError:  # it reads no more: its status says why
        rest, chunks = b"", iter(())
    rest = rest or next((chunk for chunk in chunks if chunk), b"")
    if not rest:
        child.stdin.close()
        child.stdin = None  # what ends it would flush it
    return rest
