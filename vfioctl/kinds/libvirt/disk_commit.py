"""disk.commit: writes an image that a running guest has open, below the one that it writes to, into one below it.

libvirt's own block job does it (virDomainBlockCommit): the guest, and what lies above, see the same at every moment.
What the lower one held before is gone with the first byte. Once the guest is off, qemu-img does it. Removes no image.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.disks import qemu
from vfioctl.kinds.disks.disk_rebase import FORMATS, DiskRebase, followed, put_over
from vfioctl.kinds.disks.users import others_way_to
from vfioctl.kinds.libvirt.disk_pull import DiskPull, changed, end_job, layer, must_be_idle, on_guest, runs
from vfioctl.kinds.libvirt.domains import URI, Domain
from vfioctl.txn.shape import ABSOLUTE, TEXT, UUID, Shape, one_of
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class DiskCommit(DiskPull):
    """{path, backing, backing_format, to, to_format, domain, uri, target}: backing: the image that is written down, a
    qcow2 image; to: the one below it that takes it in, with what lies between; path: the qcow2 image over `backing`,
    which lies over `to` in the end; domain, uri, target: the guest, its node, and its disk, which has them all open"""

    name = "disk.commit"
    summary = "Writes an image below what a running guest writes to into one below it, which then says the same."
    one_way = True
    undo_class = Undo.NONE
    takes = Shape(
        path=ABSOLUTE, backing=ABSOLUTE, backing_format=one_of("qcow2"), to=ABSOLUTE, to_format=one_of(*FORMATS),
        domain=UUID, uri=URI, target=TEXT,
    )  # fmt: skip
    job = "COMMIT"

    def put_back(self, params: Json) -> str:
        return f"what {params['to']} held before is gone"

    def guard(self, step: Step, machine: Machine) -> None:
        """The same as for disk.pull; and nobody else has come to need either image since the plan."""
        super().guard(step, machine)
        if DiskRebase.probe(self, step, machine) is State.BEFORE:
            _must_be_alone(step, machine)
            _must_hold(step, machine)

    def must_fit(self, step: Step, machine: Machine, domain: Domain) -> None:
        for name in ("path", "backing", "to"):
            layer(step, machine, domain.handle, step.params[name])
        must_be_idle(domain, step.params["target"], self.job)

    def begin(self, step: Step, machine: Machine, handle: Any) -> None:
        params = step.params
        top, base = (layer(step, machine, handle, params[name]) for name in ("backing", "to"))
        handle.blockCommit(params["target"], base, top, 0, 0)

    def by_program(self, step: Step, machine: Machine) -> None:
        """qemu-img changes no image but the lower one, so that what lies over the upper one is told by a call more."""
        top, base = (machine.paths.at(step.params[name]) for name in ("backing", "to"))
        followed(step, machine, ("qemu-img", "commit", "-p", "-f", "qcow2", "-d", "-b", base, "--", top))
        put_over(step, machine, base, step.params["to_format"])

    def undo(self, step: Step, machine: Machine) -> str | None:
        """No more than the end of the job: the upper image says what it said, over either content of the lower one."""
        if on_guest(step, machine, runs):
            on_guest(step, machine, lambda domain: end_job(domain, step.params["target"]))
        return f"{step.params['to']} holds all, or a part, of what lay over it"


def _must_be_alone(step: Step, machine: Machine) -> None:
    """Raise StepRefused where another guest comes to one of the images."""
    params = step.params
    for path in (machine.paths.at(params[name]) for name in ("backing", "to")):
        if way := others_way_to(machine, params["uri"], params["domain"], path):
            above = "" if way == path else f", by {way}"
            hint = "See the disks of each guest with: vfioctl guest show GUEST"
            raise StepRefused("file.needed", f"{path} must not change: another guest needs it{above}.", hints=(hint,))


def _must_hold(step: Step, machine: Machine) -> None:
    """Raise StepRefused where the lower image is larger: what it has beyond the upper one would be seen then."""
    params = step.params
    top, base = machine.paths.at(params["backing"]), machine.paths.at(params["to"])
    if qemu.look(machine, base, params["to_format"]).size > qemu.look(machine, top, "qcow2").size:
        raise changed(f"{base} is larger than {top}, and would not say the same with that in it.")


KIND = DiskCommit()
