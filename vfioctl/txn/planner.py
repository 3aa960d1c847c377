"""From proposals to a plan: order, baselines, holders, checks. Looks at facts and the ledger; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from vfioctl.errors import VfioctlError
from vfioctl.frozen import field, frozen, replace
from vfioctl.host.host import Host
from vfioctl.host.model import Holder, PciDevice
from vfioctl.host.stuck import read_stuck
from vfioctl.paths import Paths
from vfioctl.txn import journal
from vfioctl.txn.holders import Policy, holder_findings, unseen_findings
from vfioctl.txn.kind import Kind, kind
from vfioctl.txn.order import Proposed, merged, ordered
from vfioctl.txn.plan import Budget, Plan, way_back
from vfioctl.txn.resources import Entry, Ledger
from vfioctl.txn.step import Condition, Finding, Json, Phase, Step, StepProposal, strongest

UNLOAD = "module.unload"
UNBOUND_ALONE = "allow_nvidia_unbind"  # of driver.bind: other devices stay on the driver, whose nodes they share
APPLIED = (Phase.BEFORE, Phase.GIVE)
ID_BYTES = 4  # of an operation's id: it stands in names that users read, beside the second of the start
SESSION_ACTIVE = "session.active"  # a plugin names the session that must not be ended


@frozen
class Order:
    """What is asked of the planner. `policy` is read where somebody holds a device: it needs logind and systemd."""

    guest: str
    uuid: str
    devices: tuple[PciDevice, ...]
    proposals: Sequence[Proposed]
    policy: Callable[[], Policy]
    back: tuple[Condition, ...] = ()
    findings: tuple[Finding, ...] = ()
    budget: Budget = field(default_factory=Budget)
    operation: str = ""  # the id that marks what the steps make; one is made up where it is empty


def new_operation() -> str:
    """An id that no other operation has."""
    return os.urandom(ID_BYTES).hex()


def plan(order: Order, host: Host, ledger: Ledger) -> Plan:
    """The plan for `order`, with every finding at once. Raises Refused when the proposals contradict each other."""
    proposals, operation = ordered(merged(order.proposals)), order.operation or new_operation()
    steps = tuple(_step(item, host, ledger, order.uuid, operation) for item in proposals)
    applied = tuple(step for step in steps if step.phase in APPLIED)
    running = tuple(step for step in steps if step.phase is Phase.RUNNING)
    returns = tuple(step for step in steps if step.phase in (Phase.RETURN, Phase.AFTER))
    return Plan(
        guest=order.guest, uuid=order.uuid,
        devices=tuple(device.address for device in order.devices),
        steps=applied,
        running=running,
        returns=returns,
        way_back=way_back((*applied, *running), returns),
        back=order.back,
        findings=tuple(dict.fromkeys(_findings(order, proposals, applied, host, ledger))),
        budget=order.budget,
        identities={device.address: device.identity for device in order.devices},
        drivers=_driver_versions(order.devices, host),
        parameters=_parameters(order.devices, applied, host),
        operation=operation,
    )  # fmt: skip


def _step(item: Proposed, host: Host, ledger: Ledger, uuid: str, operation: str) -> Step:
    proposal, form = item.step, kind(item.step.kind)
    resource = form.resource(proposal.params)
    held = ledger.entry(proposal.kind, resource)
    shared = held is not None and any(holder != uuid for holder in held.holders)
    return Step(
        id=proposal.id, kind=proposal.kind, params=dict(proposal.params), reason=proposal.reason,
        phase=proposal.phase, resource=resource,
        baseline=dict(held.baseline if held and shared else _baseline(form, proposal, host, operation)),
        undo=form.undo_of(proposal.params), scope=strongest(form.scope, proposal.scope),
        lifetime=strongest(form.lifetime, proposal.lifetime), plugin=item.plugin,
        deadline=proposal.deadline, releases=proposal.releases, best_effort=proposal.best_effort,
        touches=form.touches(proposal.params),
    )  # fmt: skip


def _baseline(form: Kind, proposal: StepProposal, host: Host, operation: str) -> Json:
    """What is to be put back, and the mark by which an undo knows what this operation has made."""
    mark = {"operation": operation} if form.marks else {}
    return {**form.baseline(proposal.params, host), **mark}


def _findings(
    order: Order, proposals: Sequence[Proposed], steps: tuple[Step, ...], host: Host, ledger: Ledger
) -> Iterable[Finding]:
    yield from order.findings
    for item in proposals:
        yield from kind(item.step.kind).check(item.step, host)
    yield from _stuck_findings(order, host)
    held = {step.resource: other for step in steps if (other := ledger.conflict(step, order.uuid))}
    yield from _ledger_findings(order, held, ledger.paths)
    yield from _kin_findings(order, ledger)
    releases = tuple(release for step in steps for release in step.releases)
    named = any(finding.code == SESSION_ACTIVE for finding in order.findings)
    free, shared = _free(order, steps, held)
    yield from unseen_findings(host.unseen(free, shared=shared), free)
    if holders := host.holders(free, shared=shared):
        yield from holder_findings(holders, releases, _informed(order.policy(), holders, host), session_named=named)


def _informed(policy: Policy, holders: tuple[Holder, ...], host: Host) -> Policy:
    """`policy` with the names of the containers that the holders are in."""
    if not any(holder.container for holder in holders):
        return policy
    from vfioctl.host import containers  # few holders are in one

    return replace(policy, named=containers.named(host.paths, holders))


def _free(
    order: Order, steps: tuple[Step, ...], held: Mapping[str, Entry]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The devices that nobody may have open, and those of them whose shared nodes count.

    Not those of a guest that is named as their holder: that is its QEMU.
    """
    free = (device for device in order.devices if not device.stuck and f"pci:{device.address}" not in held)
    shared = (step.params["address"] for step in steps if step.params.get(UNBOUND_ALONE))
    return tuple(device.address for device in free), tuple(shared)


def _stuck_findings(order: Order, host: Host) -> Iterable[Finding]:
    for device in order.devices:
        if stuck := read_stuck(host.paths, device.address):
            yield Finding(
                "device.stuck",
                f"{device.address} is stuck: process {stuck.pid} waits in the kernel writing to {stuck.path}.",
                hint="See what to do with: vfioctl status",
            )


def _ledger_findings(order: Order, held: Mapping[str, Entry], paths: Paths) -> Iterable[Finding]:
    for resource, other in held.items():
        holders = {holder: name for holder, name in other.holders.items() if holder != order.uuid}
        yield Finding(
            "resource.held",
            f"{resource.removeprefix('pci:')} is held by guest {', '.join(holders.values())}.",
            hint=_given_up(holders, paths),
        )


def _kin_findings(order: Order, ledger: Ledger) -> Iterable[Finding]:
    """A virtual function needs the driver that its physical one loses: two guests cannot have one of them each.

    Seen in the ledger while the other guest's QEMU is not there yet to have it open.
    """
    for device in order.devices:
        for kin in (*device.virtual, *((device.physical,) if device.physical else ())):
            holders = {uuid: name for entry in ledger.entries(f"pci:{kin}") for uuid, name in entry.holders.items()}
            holders.pop(order.uuid, None)
            if holders:
                what = "virtual" if kin in device.virtual else "physical"
                yield Finding(
                    "resource.held",
                    f"{kin}, the {what} function of {device.address}, is held by guest {', '.join(holders.values())}.",
                    hint=_given_up(holders, ledger.paths),
                )


def _given_up(holders: Mapping[str, str], paths: Paths) -> str:
    """How these guests, by UUID, let go of what they hold: one of whom no journal can be read does not by itself."""
    from vfioctl.typed import argument  # few starts are refused for it

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


def _driver_versions(devices: tuple[PciDevice, ...], host: Host) -> dict[str, str]:
    modules = (host.module(name) for name in _driver_modules(devices, host))
    return {module.name: module.version or "" for module in modules if module}


def _driver_modules(devices: tuple[PciDevice, ...], host: Host) -> tuple[str, ...]:
    names = {host.driver_module(device.driver) for device in devices if device.driver}
    return tuple(sorted(filter(None, names)))


def _parameters(devices: tuple[PciDevice, ...], steps: tuple[Step, ...], host: Host) -> dict[str, dict[str, str]]:
    """The settings of the drivers, and of the modules that are loaded anew on the way back, with other ones perhaps."""
    unloaded = (name for step in steps if step.kind == UNLOAD for name in step.params["modules"])
    names = dict.fromkeys((*_driver_modules(devices, host), *unloaded))
    found = {name: dict(host.module_parameters(name)) for name in names if host.module(name)}
    return {name: settings for name, settings in found.items() if settings}

