"""domain.stop: asks a guest to shut down, again and again, or switches it off. Starts none: that is the user's.

An agent that is not connected is never asked, since libvirt would wait for it. A guest that boots hears no button.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, VfioctlError
from vfioctl.kinds.libvirt.agent import is_connected
from vfioctl.kinds.libvirt.domains import URI, Domain, DomainChange, asked, known_as, on
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import UUID, Form, Shape, is_seconds, one_of
from vfioctl.txn.step import State, Undo
from vfioctl.wait import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

AGAIN = 10.0  # seconds after which it is asked once more, in the other way
ANSWER = 5.0  # for libvirt to pass the wish on
SECONDS = Form("a number of seconds", is_seconds)


class DomainStop(DomainChange):
    """{uri, uuid, how, seconds}: how: "shutdown" asks it, through its agent where that is connected and by its power
    button, for so many seconds; "destroy" switches it off"""

    name = "domain.stop"
    summary = "Shuts a guest down, or switches it off; it is not started again."
    undo_class = Undo.NONE
    goes_on = ()
    takes = Shape(uri=URI, uuid=UUID, how=one_of("shutdown", "destroy"), seconds=SECONDS)

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:  # noqa: ARG002
        if domain.found is None:
            raise StepFailed("guest.unknown", f"libvirt has no guest with the UUID {domain.uuid}.")

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:  # noqa: ARG002
        return State.BEFORE if _is_on(domain) else State.AFTER

    def apply(self, step: Step, machine: Machine) -> str | None:
        if not on(step, machine, _is_on):
            return "it is off already"
        if step.params["how"] == "destroy":
            on(step, machine, lambda domain: domain.handle.destroy())
            return None
        _shut_down(step, machine)
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return "it is not started again"


def _shut_down(step: Step, machine: Machine) -> None:
    """Raise StepFailed("guest.deaf") when it is still on in the end."""
    end, times = Deadline(min(step.params["seconds"], step.deadline)), 0
    while end.left:
        times += 1
        tell(machine, times, _ask(step, machine, through_agent=times % 2 == 1))
        for _ in Backoff(min(AGAIN, end.left)):
            machine.checkpoint()
            if not on(step, machine, _is_on):
                return
    raise StepFailed(
        "guest.deaf", f"Guest {known_as(step, machine)} has not shut down within {step.params['seconds']:g} s.",
        state="It may still do so.", hints=(f"Look at its console, or: virsh destroy --domain {step.params['uuid']}",),
    )  # fmt: skip


def _ask(step: Step, machine: Machine, *, through_agent: bool) -> str:
    """Pass the wish on once, and say to what; one that libvirt is slow to pass on is not waited for."""
    import libvirt

    agent, button = libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT, libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN

    def ask(domain: Domain) -> str:
        handle = domain.handle
        by_agent, by_button = partial(handle.shutdownFlags, agent), partial(handle.shutdownFlags, button)
        return wish(handle, by_agent, by_button, through_agent=through_agent)

    return passed_on(machine, step.params, ask)


def passed_on(machine: Machine, params: Json, ask: Callable[[Domain], str]) -> str:
    """What `ask` was asked; a libvirt that is slow to pass it on is not waited for."""
    try:
        return asked(machine, params, ask, ANSWER)
    except VfioctlError as error:
        if error.code != "libvirt.unanswered":
            raise
        return "libvirt, which is slow to pass it on"


def wish(handle: Any, agent: Callable[[], object], button: Callable[[], object], *, through_agent: bool) -> str:
    """Ask a guest by its `agent`, where that is connected, or by its power `button`; returns which.

    Raises libvirtError. Where its agent cannot, or does not answer, there is the power button.
    """
    import libvirt

    if through_agent and is_connected(handle):
        with suppress(libvirt.libvirtError):
            agent()
            return "its agent"
    try:
        button()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:  # it has just ended
            raise
    return "its power button"


def tell(machine: Machine, times: int, whom: str) -> None:
    """Say how often a guest was asked, and how the last time."""
    machine.progress(times, 0, f"request to {whom}" if times == 1 else f"requests, the last to {whom}")


def _is_on(domain: Domain) -> bool:
    found = domain.found
    return found is not None and bool(found.isActive())


KIND = DomainStop()
