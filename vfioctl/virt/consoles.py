"""The serial console of a running guest as a stream of libvirt, on any node. Changes nothing; knows no terminal.

libvirt's streams wait for nobody only where its event loop turns, so one turns here, in the caller's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from vfioctl.errors import Refused, VfioctlError
from vfioctl.virt.connection import LEAVE, binding, connect
from vfioctl.virt.errors import translating

if TYPE_CHECKING:
    from libvirt import virConnect, virStream

    from vfioctl.virt.connection import Connection
    from vfioctl.virt.nodes import Node

TURN = 100  # ms after which the loop looks whether it is to end: libvirt's poll goes on after a signal
CHUNK = 16 << 10
WAITING = 64 << 10  # bytes on their way to the guest, beyond which nothing more is taken
PING, PINGS = 5, 3  # seconds between two signs of life of a node, and how many may be missed
TAKEN = "active console session"  # how virDomainOpenConsole says it; its number is one for many things


@contextmanager
def console_of(node: Node, uuid: str, device: str, *, force: bool) -> Iterator[Console]:
    """The console `device` of the guest `uuid`, open for the block; `force` takes it from whoever has it.

    Raises Refused("console.busy"), VfioctlError as `connect` and `Connection.ask`.
    """
    binding().virEventRegisterDefaultImpl()  # before the connection, which would go without it
    with connect(node) as connection:
        _watch_over(connection)
        stream = _opened(connection, uuid, device, force=force)
        try:
            yield Console(connection, uuid, stream)
        finally:
            with suppress(VfioctlError):  # the guest or the node has ended it already
                connection.ask(lambda _: stream.abort(), "the end of a console", limit=LEAVE)


def _watch_over(connection: Connection) -> None:
    """Let the loss of the other end be seen: keepalive is of the remote protocol, which a test driver has not."""
    libvirt = binding()
    with suppress(libvirt.libvirtError):
        connection.libvirt.setKeepAlive(PING, PINGS)


def _opened(connection: Connection, uuid: str, device: str, *, force: bool) -> virStream:
    libvirt = binding()
    flags = libvirt.VIR_DOMAIN_CONSOLE_FORCE if force else 0

    def open_(handle: virConnect) -> virStream:
        stream = handle.newStream(libvirt.VIR_STREAM_NONBLOCK)
        handle.lookupByUUIDString(uuid).openConsole(device, stream, flags)
        return stream

    try:
        return connection.ask(open_, "its console")
    except VfioctlError as error:
        if TAKEN not in error.message.lower():
            raise
        raise Refused(
            "console.busy", "Somebody else has this console open.", state="They keep it.",
            hints=("Take it from them with: --force",),
        ) from error  # fmt: skip


class Console:
    """An open console. What goes wrong in a callback is kept until the loop can raise it: libvirt would print it."""

    def __init__(self, connection: Connection, uuid: str, stream: virStream) -> None:
        self._connection = connection
        self._uuid = uuid
        self._stream = stream
        self._pending = bytearray()
        self._ended = False
        self._is_last = False  # nothing more is typed
        self._error: BaseException | None = None

    def follow(
        self, fd: int, typed: Callable[[], bytes | None], heard: Callable[[bytes], None], stopped: Callable[[], bool]
    ) -> None:
        """Give `heard` what the guest says, and the guest what `typed` gives when `fd` can be read.

        Until the guest or its node closes the other end, `typed` gives None, or b"" and the guest has all that came
        before, or `stopped` is true. Raises what `typed` and `heard` raise, and VfioctlError("console.lost").
        """
        libvirt = binding()
        events = libvirt.VIR_STREAM_EVENT_READABLE | libvirt.VIR_STREAM_EVENT_HANGUP | libvirt.VIR_STREAM_EVENT_ERROR
        with translating(self._connection.node, "its console"):
            self._stream.eventAddCallback(events, self._guarded(lambda ready: self._on_stream(ready, heard)), None)
            timer = libvirt.virEventAddTimeout(TURN, lambda *_: None, None)
            watch = libvirt.virEventAddHandle(
                fd, libvirt.VIR_EVENT_HANDLE_READABLE | libvirt.VIR_EVENT_HANDLE_HANGUP,
                self._guarded(lambda _: self._on_input(typed)), None,
            )  # fmt: skip
        try:
            while not (self._has_ended or self._error or stopped()):
                self._must_be_connected()
                self._listen(events, watch)
                libvirt.virEventRunDefaultImpl()
        finally:
            libvirt.virEventRemoveHandle(watch)
            libvirt.virEventRemoveTimeout(timer)
            with suppress(libvirt.libvirtError):  # it goes with its stream where that has ended
                self._stream.eventRemoveCallback()
        self._raise()

    def guest_runs(self) -> bool:
        """Whether the guest is still there. Raises VfioctlError where its node is not."""
        return self._connection.ask(lambda libvirt: _runs(libvirt, self._uuid), "whether it runs")

    # ---------------------------------------------------------------- callbacks

    def _guarded(self, work: Callable[[int], None]) -> Callable[..., None]:
        """`work` as libvirt calls it: the events come last but one."""

        def call(*given: Any) -> None:
            try:
                work(given[-2])
            except BaseException as error:  # noqa: BLE001 -- `follow` raises it
                self._error = self._error or error

        return call

    def _listen(self, events: int, watch: int) -> None:
        """Ask to be told when the stream takes more, only while there is something for it."""
        libvirt = binding()
        more = libvirt.VIR_STREAM_EVENT_WRITABLE if self._pending else 0
        deaf = self._is_last or len(self._pending) > WAITING
        self._stream.eventUpdateCallback(events | more)
        libvirt.virEventUpdateHandle(watch, 0 if deaf else libvirt.VIR_EVENT_HANDLE_READABLE)

    def _must_be_connected(self) -> None:
        """Raise VfioctlError("console.lost"): a stream hears nothing of a daemon that is gone. Asks nobody."""
        if not self._connection.libvirt.isAlive():
            where = self._connection.node
            said = f"The connection to libvirt on {where} was lost, and the console with it."
            raise VfioctlError("console.lost", said, state="The guest does not depend on it.")

    @property
    def _has_ended(self) -> bool:
        return self._ended or (self._is_last and not self._pending)

    def _on_input(self, typed: Callable[[], bytes | None]) -> None:
        given = typed()
        self._ended = self._ended or given is None
        self._is_last = given == b""
        self._pending += given or b""

    def _on_stream(self, ready: int, heard: Callable[[bytes], None]) -> None:
        libvirt = binding()
        if ready & libvirt.VIR_STREAM_EVENT_WRITABLE and self._pending:
            sent = self._stream.send(bytes(self._pending[:CHUNK]))
            del self._pending[:max(sent, 0)]
        if ready & ~libvirt.VIR_STREAM_EVENT_WRITABLE:
            said = self._stream.recv(CHUNK)
            if isinstance(said, bytes) and said:
                heard(said)
            elif said == b"" or not ready & libvirt.VIR_STREAM_EVENT_READABLE:  # it is -2 where there is nothing yet
                self._ended = True

    def _raise(self) -> None:
        """Raise what a callback could not. A stream that libvirt breaks off has ended: its guest, or somebody else."""
        if self._error and not isinstance(self._error, binding().libvirtError):
            raise self._error


def _runs(libvirt: virConnect, uuid: str) -> bool:
    """A guest that libvirt does not know any more was a transient one, and runs no more."""
    module = binding()
    try:
        return bool(libvirt.lookupByUUIDString(uuid).isActive())
    except module.libvirtError as error:
        if error.get_error_code() == module.VIR_ERR_NO_DOMAIN:
            return False
        raise
