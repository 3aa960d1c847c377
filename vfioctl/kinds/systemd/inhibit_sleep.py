"""inhibit.sleep: keeps the host awake by a transient unit that holds a logind inhibitor. Holds nothing itself."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.findings import Finding
from vfioctl.host.units import literal
from vfioctl.kinds.common import Primitive, run, seconds
from vfioctl.kinds.systemd import units
from vfioctl.shell import call
from vfioctl.txn.shape import FLAG, TEXT, Shape, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal


class InhibitSleep(Primitive):
    """{who, why}"""

    name = "inhibit.sleep"
    summary = "Keeps the host from sleeping while the guest runs, by a transient unit; the undo ends that unit."
    about = "the host"
    undo_class = Undo.EXACT
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    takes = Shape(who=TEXT, why=TEXT)
    keeps = Shape(active=optional(FLAG))

    def resource(self, params: Json) -> str:
        return f"unit:{unit_name(params)}"

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it may sleep again"

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        """The unit is ours by its name: one that runs although no guest has it was left behind, and is to end too."""
        return {"active": False}  # for the versions that still ask the journal for it

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:  # noqa: ARG002
        if not host.booted_with_systemd():
            yield Finding("systemd.missing", "systemd-logind does not run here, so sleep cannot be inhibited.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        """Ends when the unit runs: systemd-run waits for its start (systemd-run(1)), which fails where it is there."""
        try:
            run(machine, _command(step.params), deadline=step.deadline, code="inhibit.failed")
        except StepFailed:
            if units.look({"unit": unit_name(step.params)}, machine).is_active:
                return "sleep is inhibited already"
            raise
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        return State.AFTER if units.look({"unit": unit_name(step.params)}, machine).is_active else State.BEFORE

    def undo(self, step: Step, machine: Machine) -> str | None:
        return units.stop({"unit": unit_name(step.params)}, machine, deadline=step.deadline)

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        return (call("unit_away", unit_name(step.params), "", seconds(step)),)


def unit_name(params: Json) -> str:
    """One name for one inhibitor, so that every later process finds it again; `who` may hold any character."""
    return f"vfioctl-inhibit-{zlib.crc32(params['who'].encode('utf-8', 'surrogateescape')):08x}.service"


def _command(params: Json) -> tuple[str, ...]:
    return (
        "systemd-run", "--quiet", "--collect", f"--unit={unit_name(params)}", "--property=Type=exec", "--",
        *literal((
            "systemd-inhibit", "--what=sleep", "--mode=block", f"--who={params['who']}", f"--why={params['why']}",
            "sleep", "infinity",
        )),
    )  # fmt: skip


KIND = InhibitSleep()
