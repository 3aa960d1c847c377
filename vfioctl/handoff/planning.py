"""The plan of a hand-off: what the engine plans, and the devices with their identities and drivers. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from vfioctl.checking import TYPE_CHECKING
from vfioctl.findings import Finding
from vfioctl.frozen import field, frozen, replace
from vfioctl.handoff import notes
from vfioctl.handoff.checks import Wanted, device_findings
from vfioctl.handoff.notes import HAND_OFF
from vfioctl.host.host import Host
from vfioctl.host.model import PciDevice
from vfioctl.limits import Limits
from vfioctl.txn.kind import kind
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.plan import Plan, Unfinished
from vfioctl.txn.planner import Brief, make_plan
from vfioctl.txn.resources import Entry, Ledger
from vfioctl.txn.step import Condition, Step

if TYPE_CHECKING:
    from vfioctl.handoff.holders import Policy


@frozen
class Order:
    """What is asked for: these devices for this guest, by these steps. See `Wanted` for `policy`."""

    guest: str
    uuid: str
    devices: tuple[PciDevice, ...]
    proposals: Sequence[Proposed]
    policy: Callable[[], Policy]
    back: tuple[Condition, ...] = ()
    findings: tuple[Finding, ...] = ()
    budget: Limits = field(default_factory=Limits)
    id: str = ""  # the id that marks what the steps make; one is made up where it is empty


def plan(order: Order, host: Host, ledger: Ledger) -> Plan:
    """The plan for `order`, with every finding at once. Raises Refused when the proposals contradict each other."""
    wanted = Wanted(order.uuid, order.devices, order.policy)

    def checks(steps: tuple[Step, ...], held: Mapping[str, Entry]) -> Iterable[Finding]:
        return device_findings(wanted, steps, held, host, ledger, said=order.findings)

    brief = Brief(
        operation=HAND_OFF, subject=order.guest, key=order.uuid, proposals=order.proposals, checks=checks,
        proof=order.back, findings=order.findings, limits=order.budget, unfinished=Unfinished.RETURN, id=order.id,
    )  # fmt: skip
    made = make_plan(brief, host, ledger)
    return replace(made, notes=notes.made(
        devices=[device.address for device in order.devices],
        identities={device.address: device.identity for device in order.devices},
        drivers=_driver_versions(order.devices, host),
        parameters=_parameters(order.devices, made.steps, host),
    ))  # fmt: skip


def _driver_versions(devices: tuple[PciDevice, ...], host: Host) -> dict[str, str]:
    modules = (host.module(name) for name in _driver_modules(devices, host))
    return {module.name: module.version or "" for module in modules if module}


def _driver_modules(devices: tuple[PciDevice, ...], host: Host) -> tuple[str, ...]:
    names = {host.driver_module(device.driver) for device in devices if device.driver}
    return tuple(sorted(filter(None, names)))


def _parameters(devices: tuple[PciDevice, ...], steps: tuple[Step, ...], host: Host) -> dict[str, dict[str, str]]:
    """The settings of the drivers, and of the modules that are loaded anew on the way back, with other ones perhaps."""
    unloaded = (name for step in steps for name in kind(step.kind).reloads(step.params))
    names = dict.fromkeys((*_driver_modules(devices, host), *unloaded))
    found = {name: dict(host.module_parameters(name)) for name in names if host.module(name)}
    return {name: settings for name, settings in found.items() if settings}
