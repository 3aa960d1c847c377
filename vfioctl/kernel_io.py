"""Kernel reads and writes that may never return, made by one detached child with a deadline for each. Knows no device.

Longer work, as a pass over /proc, is done there too: the child says where it is in a page that both have, so that what
it hangs at has a name.

A write under the device lock can wait for ever, and SIGKILL does not end it. The child that makes it is then left
behind, and another one takes the next write. It holds none of our locks: a stuck device must not keep the rest of the
desktop from coming back, and whoever comes next finds the device recorded or stuck itself.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from importlib import import_module

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Stuck
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from typing import Any, NoReturn, TypeVar

    T = TypeVar("T")

CHUNK = 65536
PLACE = 4096  # bytes, of which a place has less
END = b"."  # the last line of what the child gives
BEGINNING = "the beginning"  # where it hangs that has said nothing yet


class StuckRead(Exception):
    """A kernel read that did not return in its time; the child `pid` still waits in it."""

    def __init__(self, path: str, pid: int) -> None:
        super().__init__(path)
        self.pid = pid


class StuckWrite(Stuck):
    """A kernel write that did not return in its time; the child that makes it still runs."""

    def __init__(self, path: str, value: str, pid: int, deadline: float) -> None:
        super().__init__(
            "kernel.stuck",
            f"The kernel does not return from writing {value!r} to {path} ({deadline:g} s); process {pid} waits in it.",
            state="Nothing more is written to that device.",
            hints=("End what uses the device, then see: vfioctl status",),
        )
        self.path = path
        self.value = value
        self.pid = pid


@frozen
class Given:
    """What the child gave, and the place at which it hangs, or "" when it has come to the end."""

    rows: tuple[Any, ...]
    hung_at: str = ""


class Writer:
    """The child, forked when it is first needed; a fork of ours that shares this object forks its own."""

    def __init__(self) -> None:
        self._child: _Child | None = None
        self.hung: set[str] = set()  # the places at which work hung

    def swap(self, path: str, value: str, *, deadline: float, unless: tuple[str, ...] = ()) -> tuple[str, str]:
        """Write `value` to the kernel file `path`, unless it says one of `unless` already.

        Returns what it said before and after; with no `unless` it is not read, and both are "". Raises OSError as the
        kernel said it, and StuckWrite when the write does not return in `deadline` seconds: nothing may be written to
        that device then.
        """
        before, after = self._ask(path, value, unless, deadline) or (None, "")
        if before is None:
            raise StuckWrite(path, value, self._give_up(), deadline)
        return before, after

    def look(self, path: str, *, deadline: float) -> str:
        """What the kernel file `path` says. Raises OSError, and StuckRead when it does not in `deadline` seconds."""
        said = self._ask(path, None, (), deadline)
        if said is None:
            raise StuckRead(path, self._give_up())
        return said[0]

    def work(self, module: str, arguments: Mapping[str, Any], *, quiet: float, deadline: float) -> Given:
        """What `work(arguments, say)` of `module` yields in the child; `say(place)` there says what it is at now.

        The child hangs when it has said nothing new for `quiet` seconds, or is not at its end after `deadline`. Raises
        RuntimeError for a bug of that work. `module` is to be imported here, so that the child has it.
        """
        request = json.dumps([module, arguments]).encode() + b"\n"
        given = self._heard(lambda child: child.work(request, quiet, deadline))
        if given.hung_at:
            self._give_up()
            self.hung.add(given.hung_at)
        return given

    def _living(self) -> _Child:
        if self._child is None or self._child.parent != os.getpid():
            self._child = _Child()
        return self._child

    def _heard(self, ask: Callable[[_Child], T]) -> T:
        """What `ask` hears of the child. One that is broken off, as by an alarm, loses it: the rest of its answer would
        be taken for the next one."""
        child = self._living()
        try:
            return ask(child)
        except BaseException:
            self._child = None
            raise

    def _ask(self, path: str, value: str | None, unless: tuple[str, ...], deadline: float) -> tuple[str, str] | None:
        request = json.dumps([path, value, unless]).encode() + b"\n"
        answer = self._heard(lambda child: child.ask(request, deadline))
        if answer is None:
            return None
        errno, before, after = json.loads(answer)
        if errno:
            raise OSError(errno, os.strerror(errno), path)
        return before, after

    def _give_up(self) -> int:
        """Leave the child that is stuck behind; its pid."""
        assert self._child
        stuck, self._child = self._child, None
        return stuck.pid


class _Child:
    """One forked process with a pipe each way. It ends when its requests do."""

    def __init__(self) -> None:
        asked, self.asking = os.pipe2(os.O_CLOEXEC)
        self.answers, answering = os.pipe2(os.O_CLOEXEC)
        self.place = os.memfd_create("place", os.MFD_CLOEXEC)
        self.parent = 0
        self.pid = os.fork()
        if self.pid == 0:
            _serve(asked, answering, self.place)
        self.parent = os.getpid()
        os.close(asked)
        os.close(answering)
        self.poller = select.poll()
        self.poller.register(self.answers, select.POLLIN)

    def ask(self, request: bytes, deadline: float) -> bytes | None:
        """The answer, or None when none comes in time."""
        os.write(self.asking, request)
        if not self.poller.poll(max(0.0, deadline) * 1000):
            return None
        return os.read(self.answers, CHUNK)

    def work(self, request: bytes, quiet: float, deadline: float) -> Given:
        """What it gives; see `Writer.work`."""
        end, said, place = time.monotonic() + deadline, b"", b""
        os.truncate(self.place, 0)
        os.write(self.asking, request)
        while not said.endswith(END + b"\n"):
            if self.poller.poll(min(quiet, max(0.0, end - time.monotonic())) * 1000):
                if not (chunk := os.read(self.answers, CHUNK)):
                    raise RuntimeError("a child failed: it was killed")
                said += chunk
                continue
            before, place = place, os.pread(self.place, PLACE, 0).partition(b"\0")[0]
            if before == place or time.monotonic() >= end:
                return Given(_rows(said.rpartition(b"\n")[0]), place.decode() or BEGINNING)
        return Given(_rows(said.removesuffix(END + b"\n")))

    def __del__(self) -> None:
        """Let the child see the end of its requests; one that is stuck is not waited for."""
        if os.getpid() != self.parent:
            return  # a fork of ours inherited this object; the child is its parent's, the numbers may be others' by now
        os.close(self.asking)
        os.close(self.answers)
        os.close(self.place)
        os.waitpid(self.pid, os.WNOHANG)


def _rows(said: bytes) -> tuple[Any, ...]:
    rows = tuple(json.loads(line) for line in said.splitlines())
    if rows and isinstance(rows[-1], str):
        raise RuntimeError(f"a child failed: {rows[-1]}")
    return rows


def _serve(asked: int, answering: int, place: int) -> None:
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # meant for the engine, which finishes its step
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        close_all_but(asked, answering, place)
        with os.fdopen(asked, "rb") as requests:
            for request in requests:
                words = json.loads(request)
                if isinstance(words[1], dict):
                    _work(words[0], words[1], answering, place)
                else:
                    os.write(answering, _answer(*words))
    finally:
        os._exit(0)


def _work(module: str, arguments: Mapping[str, Any], answering: int, place: int) -> None:
    """Each row as soon as it is there: those before a hang count."""

    def say(where: str) -> None:
        os.pwrite(place, where.encode() + b"\0", 0)

    try:
        for row in import_module(module).work(arguments, say):
            os.write(answering, json.dumps(row).encode() + b"\n")
    except Exception as error:  # noqa: BLE001 -- a bug must reach the parent, which tells it
        os.write(answering, json.dumps(f"{type(error).__name__}: {error}").encode() + b"\n")
    os.write(answering, END + b"\n")


def _answer(path: str, value: str | None, unless: list[str]) -> bytes:
    try:
        if value is None:
            return json.dumps([0, _read(path), ""]).encode()
        before = _read(path) if unless else ""
        if before not in unless:
            fd = os.open(path, os.O_WRONLY)
            try:
                os.write(fd, value.encode())
            finally:
                os.close(fd)
        return json.dumps([0, before, _read(path) if unless else ""]).encode()
    except OSError as error:
        return json.dumps([error.errno, "", ""]).encode()


def _read(path: str) -> str:
    """In one read: a kernel file makes its text anew at each, and a text file object would ask twice and more."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, CHUNK).decode("utf-8", "replace").strip()
    finally:
        os.close(fd)


def be_child(work: Callable[[], object], failed: Callable[[Exception], object], *keep: int) -> NoReturn:
    """Be a fork of ours that does `work` with the descriptors `keep`, in a session of its own, and ends with it.

    What `work` raises is told by `failed`; a bug, too, must reach the parent.
    """
    try:
        os.setsid()
        close_all_but(*keep)
        try:
            work()
        except Exception as error:  # noqa: BLE001 -- `failed` tells it
            failed(error)
    finally:
        os._exit(0)


def close_all_but(*keep: int) -> None:
    """Close every descriptor but `keep`; standard input, output and error go to /dev/null.

    For a fork of ours, which collects no garbage of its parent either: a destructor would use a descriptor that is
    closed here, and libvirt's waits for ever for a thread that no fork has.
    """
    gc.freeze()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    kept = sorted({0, 1, 2, *(fd for fd in keep if fd >= 0)})
    for low, high in zip(kept, [*kept[1:], CHUNK], strict=True):
        os.closerange(low + 1, high)
