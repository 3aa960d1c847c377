"""Which devices are not at the driver that they had: a return that leaves one so has failed. Looks; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.host.readers import link_name
from vfioctl.txn.engine import Failure
from vfioctl.txn.kind import kind
from vfioctl.txn.plan import Action

if TYPE_CHECKING:
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.plan import Plan
    from vfioctl.txn.step import Step


def astray(plan: Plan, machine: Machine) -> frozenset[str]:
    """The ids of the binds whose device is not at the driver that it had; one that had none cannot be astray."""
    return frozenset(step.id for step in plan.steps if kind(step.kind).spontaneous and _is_astray(step, machine))


def failures(plan: Plan, machine: Machine, *, accept_others: bool) -> Iterator[Failure]:
    """A failure for each such device. `accept_others`: not for one that somebody else has put on another driver.

    Nobody but they can tell whether it is to stay there, so it is a failure once, and what finishes that accepts it.
    """
    found = astray(plan, machine)
    for step in (step for step in plan.steps if step.id in found):
        address, home = step.params["address"], step.baseline["driver"]
        current = link_name(machine.paths.pci(address, "driver"))
        foreign = current not in (None, step.params["driver"]) and not machine.host().is_vfio_driver(current)
        if not (foreign and accept_others):
            where = f"on {current}" if current else "without a driver"
            said = f"{address} is {where}, not on {home}, which it was on before."
            yield Failure(step, Action.UNDO, StepFailed("return.not_home", said))


def _is_astray(step: Step, machine: Machine) -> bool:
    home = step.baseline["driver"]
    return bool(home) and link_name(machine.paths.pci(step.params["address"], "driver")) != home
