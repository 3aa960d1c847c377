"""domain.reboot: asks a guest to restart, again and again, or resets it. libvirt says when it has come about.

A reset by its power button is made by libvirt: it waits for the guest to shut down, and begins it anew.
"""

from __future__ import annotations

from functools import partial

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.kinds.libvirt.domain_stop import AGAIN, SECONDS, passed_on, tell, wish
from vfioctl.kinds.libvirt.domains import URI, Domain, DomainChange, known_as, must_run
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import UUID, Shape, one_of
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from collections.abc import Callable

    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class DomainReboot(DomainChange):
    """{uri, uuid, how, seconds}: how: "ask" asks it, through its agent where that is connected and by its power
    button, for so many seconds; "reset" lets it begin anew at once"""

    name = "domain.reboot"
    summary = "Restarts a guest, or resets it; what it had in its memory is gone."
    undo_class = Undo.NONE
    takes = Shape(uri=URI, uuid=UUID, how=one_of("ask", "reset"), seconds=SECONDS)

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:  # noqa: ARG002
        must_run(domain.handle)

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:  # noqa: ARG002
        return State.BEFORE  # nobody can tell it from a guest that was not asked

    def apply(self, step: Step, machine: Machine) -> str | None:
        """Raises StepFailed("guest.deaf") when it has not begun anew in the end."""
        end, times = Deadline(min(step.params["seconds"], step.deadline)), 0
        while end.left:
            times += 1
            if _comes_about(step, machine, times, Deadline(min(AGAIN, end.left))):
                return None
            machine.checkpoint()
        uuid = step.params["uuid"]
        raise StepFailed(
            "guest.deaf", f"Guest {known_as(step, machine)} has not restarted within {step.params['seconds']:g} s.",
            state="It may still do so.", hints=(f"Look at its console, or: virsh reset --domain {uuid}",),
        )  # fmt: skip

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return "it has begun anew"


def _comes_about(step: Step, machine: Machine, times: int, end: Deadline) -> bool:
    """Ask once, watched by libvirt's events; whether the guest has begun anew before the `end`."""
    from vfioctl.virt.events import REBOOTED, WATCHED, events
    from vfioctl.virt.nodes import of_uri

    for event in events(of_uri(step.params["uri"]), stop=_over(machine, end)):
        if event.kind == WATCHED:
            tell(machine, times, passed_on(machine, step.params, _request(step, through_agent=times % 2 == 1)))
        if event.kind == REBOOTED and event.uuid == step.params["uuid"]:
            return True
    return False


def _over(machine: Machine, end: Deadline) -> Callable[[], bool]:
    """Whether to watch no longer: it is over, or the step has to stop."""

    def over() -> bool:
        try:
            machine.checkpoint()
        except StepFailed:
            return True
        return not end.left

    return over


def _request(step: Step, *, through_agent: bool) -> Callable[[Domain], str]:
    import libvirt

    def ask(domain: Domain) -> str:
        handle = domain.handle
        if step.params["how"] == "reset":
            handle.reset(0)
            return "its reset button"
        agent, button = libvirt.VIR_DOMAIN_REBOOT_GUEST_AGENT, libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN
        by_agent, by_button = partial(handle.reboot, agent), partial(handle.reboot, button)
        return wish(handle, by_agent, by_button, through_agent=through_agent)

    return ask


KIND = DomainReboot()
