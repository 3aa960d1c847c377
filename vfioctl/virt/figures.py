"""What a guest has used so far: processor, memory, disks, network. One call; asks no agent and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.frozen import frozen
from vfioctl.virt.connection import binding
from vfioctl.virt.guests import OFF, STATES

if TYPE_CHECKING:
    from libvirt import virConnect

    from vfioctl.virt.connection import Connection


@frozen
class GuestFigures:
    """Counted since its start: processor time in seconds, bytes of all disks and network cards, their requests.

    `memory` is what the guest has now, `resident` what its QEMU takes of the host, `unused` what the guest says it does
    not need; in bytes, None where libvirt does not say.
    """

    state: str
    cpus: int | None = None
    cpu_time: float | None = None
    memory: int | None = None
    resident: int | None = None
    unused: int | None = None
    disk_read: int = 0
    disk_written: int = 0
    disk_requests: int = 0
    received: int = 0
    sent: int = 0


def read_figures(connection: Connection, uuid: str) -> GuestFigures:
    """Those of the guest `uuid`. Raises VfioctlError as `Connection.ask`."""
    return connection.ask(lambda libvirt: _read(libvirt, uuid), "what it uses")


def _read(libvirt: virConnect, uuid: str) -> GuestFigures:
    module = binding()
    wanted = (
        module.VIR_DOMAIN_STATS_STATE | module.VIR_DOMAIN_STATS_CPU_TOTAL | module.VIR_DOMAIN_STATS_BALLOON
        | module.VIR_DOMAIN_STATS_VCPU | module.VIR_DOMAIN_STATS_INTERFACE | module.VIR_DOMAIN_STATS_BLOCK
    )  # fmt: skip
    ((_, said),) = libvirt.domainListGetStats([libvirt.lookupByUUIDString(uuid)], wanted)
    time = _of(said, "cpu", "time")
    return GuestFigures(
        state=STATES.get(_of(said, "state", "state") or 0, OFF), cpus=_of(said, "vcpu", "current"),
        cpu_time=None if time is None else time / 1e9, memory=_kib(said, "current"), resident=_kib(said, "rss"),
        unused=_kib(said, "unused"), disk_read=_sum(said, "block", "rd", "bytes"),
        disk_written=_sum(said, "block", "wr", "bytes"),
        disk_requests=_sum(said, "block", "rd", "reqs") + _sum(said, "block", "wr", "reqs"),
        received=_sum(said, "net", "rx", "bytes"), sent=_sum(said, "net", "tx", "bytes"),
    )  # fmt: skip


def _of(said: Mapping[str, Any], *words: str) -> Any:
    """What libvirt says under the words with dots between (virConnectGetAllDomainStats); None for nothing."""
    return said.get(".".join(words))


def _kib(said: Mapping[str, Any], name: str) -> int | None:
    found = _of(said, "balloon", name)
    return None if found is None else int(found) << 10


def _sum(said: Mapping[str, Any], of: str, *name: str) -> int:
    """Of all its disks, or cards."""
    return sum(int(_of(said, of, str(number), *name) or 0) for number in range(_of(said, of, "count") or 0))
