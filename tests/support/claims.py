"""What a vendor plugin's claim comes to: the plan that is made of it, and a walk through that plan there and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from vfioctl.handoff.holders import Policy
from vfioctl.handoff.planning import Order, plan
from vfioctl.host.host import Host
from vfioctl.host.model import PciDevice
from vfioctl.kinds.conditions import evaluate
from vfioctl.plugin.types import GpuHandoff, Severity
from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import MachineSpec
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.plan import Plan
from vfioctl.txn.resources import Ledger

Start = Callable[[MachineSpec], FakeHost]


def at_rest(machine: MachineSpec) -> MachineSpec:
    """The machine with nobody on the card: what other plugins see to."""
    return replace(machine, processes=(), sessions=(), units=())


def facts(fake: FakeHost) -> Host:
    return Host(fake.paths, fake.programs)


def whole_plan(host: Host, *claims: GpuHandoff, units: Iterable[str] = ()) -> Plan:
    """The plan of `claims`; `units` may be stopped."""
    proposals = tuple(Proposed(made.plugin, step) for made in claims for step in made.steps)
    devices = host.functions(claims[0].address)
    order = Order("win11", "uuid", devices, proposals, lambda: Policy(units=frozenset(units)))
    return plan(order, host, Ledger(host.paths))


def ids(host: Host, *claims: GpuHandoff) -> list[str]:
    """The steps in the order in which they run."""
    return [step.id for step in whole_plan(host, *claims).steps]


def codes(made: GpuHandoff) -> dict[str, Severity]:
    return {finding.code: finding.severity for finding in made.findings}


def is_awake(device: PciDevice) -> bool:
    """Whether the function is in D0, must stay there, and is kept out of D3cold."""
    return (device.power_state, device.power_control, device.d3cold_allowed) == ("D0", "on", "0")


def walk(fake: FakeHost, made: GpuHandoff, *, given: Callable[[Host], object]) -> None:
    """Apply every step, look with `given`, undo in reverse, and see the conditions that prove the return."""
    machine = Machine(fake.paths, fake.programs)
    steps = whole_plan(facts(fake), made).steps
    for step in steps:
        kind(step.kind).guard(step, machine)
        kind(step.kind).apply(step, machine)
    functions = (made.address, *made.covers)
    assert {facts(fake).device(address).driver for address in functions} == {"vfio-pci"}
    assert given(facts(fake))
    for step in reversed(steps):
        kind(step.kind).undo(step, machine)
    assert all(evaluate(condition, machine) for condition in made.back)
