"""What happens to the guests of a node, as it happens: watched over restarts of its daemon. Changes nothing.

Of libvirt's loop of events there is one in a process, so one thread watches, and one node at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.virt.connection import Connection, binding, connect
from vfioctl.wait import Backoff

if TYPE_CHECKING:
    from vfioctl.virt.nodes import Node

LOOK = 0.2  # seconds between two looks whether to stop
KEEP_ALIVE = (5, 3)  # seconds between two questions, and how many may stay without an answer
LONGEST_OUTAGE = 365 * 24 * 3600.0
WATCHED, LOST, REBOOTED = "watched", "lost", "rebooted"
# virDomainEventType (libvirt-domain.h)
KINDS = (
    "defined", "undefined", "started", "suspended", "resumed", "stopped", "shutdown", "pmsuspended", "crashed",
)  # fmt: skip


@frozen
class GuestEvent:
    """`kind` is one of KINDS, or `rebooted`; `watched` when the node is watched from now on, `lost` when no longer.

    What happened between `lost` and the next `watched` is not told: whoever counts on it reads the guests again.
    """

    kind: str
    uuid: str = ""
    guest: str = ""
    why: str = ""


def events(node: Node, *, stop: Callable[[], bool] = bool) -> Iterator[GuestEvent]:
    """Every event of the guests of `node`, until `stop` says so.

    A daemon that goes away, or answers no more within 15 s, is `lost` and connected to again, for as long as it takes.
    Raises VfioctlError where the first connection cannot be made.
    """
    _loop()
    connection: Connection | None = connect(node)
    while connection is not None:
        with connection:
            yield from _watched(connection, stop)
        if stop():
            return
        yield GuestEvent(LOST, why=f"{node} does not answer")
        connection = _again(node, stop)


@cache
def _loop() -> None:
    """Register libvirt's loop of events, once in a process, and before the first connection that needs it."""
    binding().virEventRegisterDefaultImpl()


def _again(node: Node, stop: Callable[[], bool]) -> Connection | None:
    """A new connection as soon as there is one; None when it is to stop."""
    for _ in Backoff(LONGEST_OUTAGE, first=LOOK, longest=5.0):
        if stop():
            break
        with suppress(VfioctlError):
            return connect(node)
    return None


def _watched(connection: Connection, stop: Callable[[], bool]) -> Iterator[GuestEvent]:
    """The events of one connection until it is closed from the other end."""
    libvirt, handle = binding(), connection.libvirt
    seen: deque[GuestEvent] = deque()
    closed: list[int] = []

    def happened(_connection: Any, domain: Any, kind: int, detail: int, _opaque: Any) -> None:
        name = KINDS[kind] if kind < len(KINDS) else str(kind)
        seen.append(GuestEvent(name, domain.UUIDString(), domain.name(), str(detail)))

    def began_anew(_connection: Any, domain: Any, _opaque: Any) -> None:
        seen.append(GuestEvent(REBOOTED, domain.UUIDString(), domain.name()))

    def register(asked: Any) -> None:
        asked.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, happened, None)
        asked.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, began_anew, None)

    timer = libvirt.virEventAddTimeout(int(LOOK * 1000), lambda _timer, _opaque: None, None)
    try:
        handle.registerCloseCallback(lambda _connection, why, _opaque: closed.append(why), None)
        handle.setKeepAlive(*KEEP_ALIVE)
        connection.ask(register, "its events")
        yield GuestEvent(WATCHED)
        while not (stop() or closed):
            libvirt.virEventRunDefaultImpl()
            while seen:
                yield seen.popleft()
    except (libvirt.libvirtError, VfioctlError):
        return  # it went away before it was watched
    finally:
        libvirt.virEventRemoveTimeout(timer)
        with suppress(libvirt.libvirtError):
            handle.unregisterCloseCallback()
