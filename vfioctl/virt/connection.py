"""A connection to the libvirt of a node. Every call has a deadline: what hangs in libvirt does not hang us.

A daemon that is stopped, or a host that is gone, answers no call and ends none. So each runs in a thread that nobody
waits for longer than its time; libvirt-python lets go of the interpreter during a call.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from vfioctl import files
from vfioctl.errors import Refused, VfioctlError
from vfioctl.virt.errors import silent, translating
from vfioctl.virt.nodes import LOCAL, Node

if TYPE_CHECKING:
    from types import TracebackType

    from libvirt import virConnect

OPEN = 10.0  # seconds
CALL = 30.0
ALIVE = 5.0
LEAVE = 1.0
QUIET = ("LIBVIRT_DEBUG", "4")  # errors alone: its warnings on stderr repeat what comes as an error anyway
LOOK = 0.1  # between two looks whether somebody wants to wait no longer
HOW_TO_INSTALL = "docs/how-to/install.md says how to install libvirt-python beside vfioctl."
T = TypeVar("T")


def unwatched() -> None:
    """What may end a wait where nobody watches it."""


def binding() -> Any:
    """The module libvirt. Raises Refused("libvirt.missing") where the extra is not installed."""
    os.environ.setdefault(*QUIET)  # before its import, which reads it
    try:
        import libvirt
    except ImportError as error:
        raise Refused(
            "libvirt.missing", "libvirt-python is not installed here, so libvirt is not asked.",
            state="Nothing was changed.", hints=(HOW_TO_INSTALL,),
        ) from error
    libvirt.registerErrorHandler(lambda _context, _error: None, None)  # it prints to stderr otherwise
    return libvirt


def is_installed() -> bool:
    """Whether libvirt-python is there."""
    try:
        return bool(binding())
    except Refused:
        return False


def with_secrets(describe: Callable[[int], str], secret: int, flags: int = 0) -> str:
    """The XML that `describe` gives for `flags`, with what is secret in it, or without where we may only read."""
    libvirt = binding()
    try:
        return str(describe(flags | secret))
    except libvirt.libvirtError as error:
        if error.get_error_code() not in (libvirt.VIR_ERR_OPERATION_DENIED, libvirt.VIR_ERR_ACCESS_DENIED):
            raise
    return str(describe(flags))


class Connection:
    """An open connection. `libvirt` is libvirt's own object, for calls within `ask`.

    After `until`, a moment of the monotonic clock, nothing is waited for any more.
    """

    def __init__(self, node: Node, handle: virConnect, *, until: float = math.inf) -> None:
        self.node = node
        self.libvirt = handle
        self.until = until
        self._end = weakref.finalize(self, _closed, node, handle)  # at the latest when the process ends

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(
        self, work: Callable[[virConnect], T], doing: str, *, limit: float = CALL, watch: Callable[[], None] = unwatched
    ) -> T:
        """What `work` returns on the connection. Raises VfioctlError: libvirt's as ours, and "libvirt.unanswered".

        `watch` is called several times a second; what it raises ends the wait, not what libvirt does.
        """
        return _bounded(self.node, lambda: work(self.libvirt), doing, _left(limit, self.until), watch)

    @property
    def version(self) -> tuple[int, int, int]:
        """The version of libvirt at the other end."""
        number = self.ask(lambda connection: int(connection.getLibVersion()), "its version")
        return number // 1_000_000, number // 1_000 % 1_000, number % 1_000

    @property
    def is_alive(self) -> bool:
        """Whether the other end answers. libvirt itself sees only at the next call that a daemon was restarted."""
        try:
            return bool(self.ask(lambda handle: handle.getLibVersion(), "a sign of life", limit=ALIVE))
        except VfioctlError:
            return False

    def close(self) -> None:
        """Let go of it; what the other end makes of that does not matter any more."""
        self._end()


def _left(limit: float, until: float) -> float:
    """The seconds of `limit` that are left before `until`."""
    return max(0.0, min(limit, until - time.monotonic()))


def _closed(node: Node, handle: virConnect) -> None:
    """Close it within a second; a thread that hangs keeps the object.

    Where the object goes while it is open, libvirt-python waits for its daemon, and for ever for one that stands still.
    """
    try:
        with suppress(VfioctlError):
            _bounded(node, handle.close, "the end of a connection", LEAVE)
    except RuntimeError:  # Python 3.12 starts no thread any more while it ends: the kernel closes it
        handle._o = None  # noqa: SLF001 -- what libvirt-python looks at before it closes


def connect(
    node: Node = LOCAL, *, limit: float = OPEN, read_only: bool = False, until: float = math.inf
) -> Connection:
    """A connection to `node`, opened within `limit` seconds and before `until`, which ends all that it is asked.

    Raises VfioctlError: "libvirt.missing", "libvirt.down", "libvirt.denied", "libvirt.unanswered", "libvirt.failed".
    """
    libvirt = binding()
    way = libvirt.openReadOnly if read_only else libvirt.open
    handle = _bounded(node, lambda: way(node.dialled), "a connection", _left(limit, until))
    return Connection(node, handle, until=until)


def borrowed(opened: dict[str, Connection], node: Node) -> Connection:
    """The connection to `node` out of `opened`, which gets one where none is there or the other end has gone.

    Whoever has `opened` closes what is in it. Raises what `connect` raises.
    """
    known = opened.get(node.uri)
    if known and known.is_alive:
        return known
    if known:
        opened.pop(node.uri).close()
    return opened.setdefault(node.uri, connect(node))


def _bounded(
    node: Node, work: Callable[[], T], doing: str, limit: float, watch: Callable[[], None] = unwatched
) -> T:
    """What `work` gives within `limit` seconds. The thread of one that hangs ends with the process."""
    given: list[T] = []
    raised: list[BaseException] = []

    def call() -> None:
        try:
            with translating(node, doing):
                given.append(work())
        except BaseException as error:  # noqa: BLE001 -- raised below, where it is waited for
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True, name="libvirt")
    thread.start()
    end = time.monotonic() + limit
    try:
        while thread.is_alive() and (left := end - time.monotonic()) > 0:
            thread.join(min(left, LOOK))
            watch()
    finally:
        if thread.is_alive():
            _end_children(thread)
    if raised:
        raise raised[0]
    if not given:
        raise silent(node, doing, limit)
    return given[0]


def _end_children(thread: threading.Thread) -> None:
    """End what the call in `thread` has started: an ssh whose host says nothing would outlive us.

    The kernel lists the children of each thread (proc(5), /proc/pid/task/tid/children).
    """
    with suppress(OSError):
        for pid in (files.read_text(f"/proc/self/task/{thread.native_id}/children") or "").split():
            os.kill(int(pid), signal.SIGTERM)
