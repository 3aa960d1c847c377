"""A guest that runs: since when, and what vfioctl has given it. Reads /proc and our records, asks libvirt nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from vfioctl.frozen import frozen
from vfioctl.handoff import notes
from vfioctl.host.processes import epoch, start_time
from vfioctl.result import Message
from vfioctl.txn.journal import read_both

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.events.model import Domain
    from vfioctl.paths import Paths
    from vfioctl.txn.plan import Plan


@frozen
class Given:
    """`plan` is the one that was carried out; None where nothing is on record, or, when `hidden`, not for this user."""

    guest: str
    process: int
    since: float
    devices: tuple[str, ...]
    plan: Plan | None = None
    hidden: bool = False

    def shown(self) -> dict[str, Any]:
        """As it stands in the data of a result; `given` is null where that is hidden."""
        return {
            "guest": self.guest, "process": self.process, "since": self.since, "devices": list(self.devices),
            "given": None if self.hidden else self.plan is not None,
        }  # fmt: skip

    def messages(self) -> tuple[Message, ...]:
        if self.hidden:
            return (Message("What it was given could not be read without root.", "warning", "state.unreadable"),)
        if self.plan is None:
            text = f"vfioctl has given it nothing: {self.guest} was started without the hook."
            return (Message(text, "warning", "guest.without_hook", "See why with: vfioctl hook verify"),)
        return ()


def of(call: Call, domain: Domain) -> Given | None:
    """What the guest of `domain` has while its QEMU runs; None when it does not."""
    paths = call.composition.paths
    process = call.composition.machine().host().qemu_of(domain.uuid, domain.name)
    if process is None:
        return None
    born = started(paths, process)
    try:
        story = read_both(paths, domain.uuid)
    except PermissionError:
        return Given(domain.name, process, born, domain.pci_addresses, hidden=True)
    if story is None:
        return Given(domain.name, process, born, ())
    return Given(domain.name, process, story.started, notes.devices(story.plan), story.plan)


def started(paths: Paths, pid: int) -> float:
    """When the process `pid` was started, in seconds since the epoch; now when it is gone."""
    ticks = start_time(paths, pid)
    return time.time() if ticks is None else epoch(ticks)
