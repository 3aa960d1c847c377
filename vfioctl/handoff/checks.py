"""What speaks against giving devices away: stuck ones, other guests, whoever has them open. Looks; changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.findings import Finding
from vfioctl.frozen import frozen, replace
from vfioctl.host.host import Host
from vfioctl.host.model import Holder, PciDevice
from vfioctl.host.stuck import read_stuck
from vfioctl.kinds.pci import is_unbound_alone
from vfioctl.kinds.pci.unseen import unseen_findings
from vfioctl.paths import Paths
from vfioctl.txn import journal
from vfioctl.txn.resources import Entry, Ledger
from vfioctl.txn.step import Step

if TYPE_CHECKING:
    from vfioctl.handoff.holders import Policy


@frozen
class Wanted:
    """The devices that the guest `uuid` is to have. `policy` is read where somebody holds one: it needs systemd."""

    uuid: str
    devices: tuple[PciDevice, ...]
    policy: Callable[[], Policy]


def device_findings(
    wanted: Wanted, steps: tuple[Step, ...], held: Mapping[str, Entry], host: Host, ledger: Ledger, *,
    said: Iterable[Finding],
) -> Iterable[Finding]:  # fmt: skip
    """Everything that keeps the devices where they are, once `steps` are known; `held` is what other guests hold.

    What of it is `said` already is not said again.
    """
    yield from _stuck_findings(wanted, host)
    yield from _ledger_findings(wanted, held, ledger.paths)
    yield from _kin_findings(wanted, ledger)
    releases = tuple(release for step in steps for release in step.releases)
    free, shared = _free(wanted, steps, held)
    yield from unseen_findings(host.unseen(free, shared=shared), free)
    if holders := host.holders(free, shared=shared):
        from vfioctl.handoff.holders import SESSION_ACTIVE, holder_findings  # most starts find none

        named = any(finding.code == SESSION_ACTIVE for finding in said)
        yield from holder_findings(holders, releases, _informed(wanted.policy(), holders, host), session_named=named)


def _informed(policy: Policy, holders: tuple[Holder, ...], host: Host) -> Policy:
    """`policy` with the names of the containers that the holders are in."""
    if not any(holder.container for holder in holders):
        return policy
    from vfioctl.host import containers  # few holders are in one

    return replace(policy, named=containers.named(host.paths, holders))


def _free(
    wanted: Wanted, steps: tuple[Step, ...], held: Mapping[str, Entry]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The devices that nobody may have open, and those of them whose shared nodes count.

    Not those of a guest that is named as their holder: that is its QEMU.
    """
    free = (device for device in wanted.devices if not device.stuck and f"pci:{device.address}" not in held)
    shared = (step.params["address"] for step in steps if is_unbound_alone(step.params))
    return tuple(device.address for device in free), tuple(shared)


def _stuck_findings(wanted: Wanted, host: Host) -> Iterable[Finding]:
    for device in wanted.devices:
        if stuck := read_stuck(host.paths, device.address):
            yield Finding(
                "device.stuck",
                f"{device.address} is stuck: process {stuck.pid} waits in the kernel writing to {stuck.path}.",
                hint="See what to do with: vfioctl status",
            )


def _ledger_findings(wanted: Wanted, held: Mapping[str, Entry], paths: Paths) -> Iterable[Finding]:
    for resource, other in held.items():
        holders = {holder: name for holder, name in other.holders.items() if holder != wanted.uuid}
        yield Finding(
            "resource.held",
            f"{resource.removeprefix('pci:')} is held by guest {', '.join(holders.values())}.",
            hint=_given_up(holders, paths),
        )


def _kin_findings(wanted: Wanted, ledger: Ledger) -> Iterable[Finding]:
    """A virtual function needs the driver that its physical one loses: two guests cannot have one of them each.

    Seen in the ledger while the other guest's QEMU is not there yet to have it open.
    """
    for device in wanted.devices:
        for kin in (*device.virtual, *((device.physical,) if device.physical else ())):
            holders = {uuid: name for entry in ledger.entries(f"pci:{kin}") for uuid, name in entry.holders.items()}
            holders.pop(wanted.uuid, None)
            if holders:
                what = "virtual" if kin in device.virtual else "physical"
                yield Finding(
                    "resource.held",
                    f"{kin}, the {what} function of {device.address}, is held by guest {', '.join(holders.values())}.",
                    hint=_given_up(holders, ledger.paths),
                )


def _given_up(holders: Mapping[str, str], paths: Paths) -> str:
    """How these guests, by UUID, let go of what they hold: one of whom no journal can be read does not by itself."""
    from vfioctl.shell import argument  # few starts are refused for it

    for uuid in holders:
        try:
            story = journal.read_both(paths, uuid)
        except VfioctlError as error:
            return error.hints[-1]
        except PermissionError:  # who only looks may not read it
            break
        if story is None:
            return f"Nothing else is known of that hand-off; forget it with: vfioctl recover --discard {argument(uuid)}"
    return f"Stop guest {', '.join(holders.values())} first; see: vfioctl status"
