"""The guests of a node at a glance: a few calls for all of them, however many there are. Asks no agent and no QEMU."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from vfioctl.frozen import frozen
from vfioctl.virt.connection import binding
from vfioctl.virt.guests import OFF, PAUSED, RUNNING, SAVED, STATES
from vfioctl.virt.together import together

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from libvirt import virConnect, virDomain

    from vfioctl.virt.connection import Connection

IO_ERROR, NO_SPACE = 5, 2  # virDomainPausedReason, virDomainDiskErrorCode (libvirt-domain.h)
DISK_ERROR, DISK_FULL = "disk error", "disk full"
# virDomainPausedReason and virDomainShutoffReason, where they say more than the state.
REASONS = {
    (PAUSED, 2): "migration", (PAUSED, 3): "being saved", (PAUSED, 4): "core dump", (PAUSED, IO_ERROR): DISK_ERROR,
    (PAUSED, 6): "watchdog", (PAUSED, 9): "snapshot in progress", (PAUSED, 10): "crashed", (PAUSED, 11): "starting",
    (PAUSED, 12): "migration", (PAUSED, 13): "migration failed", (OFF, 3): "crashed", (OFF, 4): "migrated",
    (OFF, 6): "failed to start",
}  # fmt: skip


@frozen
class GuestSummary:
    """A guest in a list. `reason` says why it is in its `state`, where that is no everyday thing: "disk full".

    `memory` in bytes: what it has now, or starts with.
    """

    uuid: str
    name: str
    state: str
    reason: str = ""
    cpus: int = 0
    memory: int = 0
    persistent: bool = True
    autostart: bool = False

    @property
    def runs(self) -> bool:
        """Whether a QEMU of it is there."""
        return self.state in (RUNNING, PAUSED)


def read_summaries(connection: Connection) -> tuple[GuestSummary, ...]:
    """Every guest of the node, by name. Raises VfioctlError as `Connection.ask`.

    Those that are off cost a few calls together, each that runs one more: in bulk libvirt would ask its QEMU, and one
    that hangs would hold up the list.
    """
    return connection.ask(_all, "the list of guests")


def _all(libvirt: virConnect) -> tuple[GuestSummary, ...]:
    module = binding()
    states = libvirt.getAllDomainStats(module.VIR_DOMAIN_STATS_STATE, 0)
    off = libvirt.getAllDomainStats(
        module.VIR_DOMAIN_STATS_BALLOON | module.VIR_DOMAIN_STATS_VCPU,
        module.VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE,
    )
    flags = Flags(*(
        frozenset(one.UUIDString() for one in libvirt.listAllDomains(flag)) for flag in (
            module.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE, module.VIR_CONNECT_LIST_DOMAINS_AUTOSTART,
            module.VIR_CONNECT_LIST_DOMAINS_TRANSIENT,
        )
    ))  # fmt: skip
    known = {domain.UUIDString(): said for domain, said in off}
    found = together(partial(_summary, known, flags), states)
    return tuple(sorted((one for one in found if one), key=lambda one: one.name))


class Flags(NamedTuple):
    """The guests of which something is so, by their UUIDs."""

    saved: frozenset[str]
    autostarted: frozenset[str]
    transient: frozenset[str]


def _summary(known: Mapping[str, Any], flags: Flags, found: tuple[virDomain, Mapping[str, Any]]) -> GuestSummary | None:
    """None for one that has gone meanwhile."""
    domain, said = found
    uuid, state = domain.UUIDString(), STATES.get(said.get("state.state", 0), OFF)
    module = binding()
    try:
        cpus, memory = _figures(known[uuid]) if uuid in known else domain.info()[3:1:-1]
    except module.libvirtError as error:
        if error.get_error_code() == module.VIR_ERR_NO_DOMAIN:
            return None
        raise
    return GuestSummary(
        uuid=uuid, name=domain.name(), state=SAVED if state == OFF and uuid in flags.saved else state,
        reason=_reason(domain, state, said.get("state.reason", 0)), cpus=cpus, memory=memory << 10,
        persistent=uuid not in flags.transient, autostart=uuid in flags.autostarted,
    )  # fmt: skip


def _figures(said: Mapping[str, Any]) -> tuple[int, int]:
    """CPUs, and memory in KiB, of a guest that is off."""
    return said["vcpu.current"], said["balloon.current"]


def _reason(domain: virDomain, state: str, number: int) -> str:
    """One that is paused for an error of a disk is asked which: the answer is "make room", or a broken disk."""
    known = REASONS.get((state, number), "")
    if known != DISK_ERROR:
        return known
    module = binding()
    try:
        errors = domain.diskErrors()
    except module.libvirtError:  # busy, or gone meanwhile
        return known
    return DISK_FULL if NO_SPACE in errors.values() else known
