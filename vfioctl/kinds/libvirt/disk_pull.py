"""disk.pull: disk.rebase of what a running guest writes to, by libvirt's own block job. Removes no image.

QEMU copies into the image while the guest goes on, and changes its header at the end (virDomainBlockRebase), so that
the guest sees the same at every moment; a job that ends early loses nothing. Once the guest is off, qemu-img does it.
"""

from __future__ import annotations

import os

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused, VfioctlError
from vfioctl.findings import Finding
from vfioctl.kinds.disks.disk_rebase import FORMATS, DiskRebase
from vfioctl.kinds.disks.users import is_same
from vfioctl.kinds.libvirt.change import LOOK
from vfioctl.kinds.libvirt.documents import canonical, without_chain
from vfioctl.kinds.libvirt.domains import URI, Domain, asked
from vfioctl.txn.shape import ABSOLUTE, TEXT, UUID, Shape, empty_or, one_of
from vfioctl.txn.step import State
from vfioctl.virt.disks import guest_disks
from vfioctl.wait import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from vfioctl.host.host import Host
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

    T = TypeVar("T")


class DiskPull(DiskRebase):
    """{path, backing, backing_format, to, to_format, domain, uri, target}: as disk.rebase; uri: the node of the guest;
    target: its disk, which is on `path`"""

    name = "disk.pull"
    summary = "Puts what a running guest writes to over an image further down, with what it would lose copied into it."
    takes = Shape(
        path=ABSOLUTE, backing=ABSOLUTE, backing_format=one_of(*FORMATS), to=empty_or(ABSOLUTE),
        to_format=one_of(*FORMATS, ""), domain=UUID, uri=URI, target=TEXT,
    )  # fmt: skip
    job = "PULL"  # as libvirt calls it (virDomainBlockJobType)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "the copying ends; what was copied stays, and says the same"

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        """The same, and a job of somebody else's on the disk is in the way already."""
        from vfioctl.txn.machine import Machine

        yield from super().check(proposal, host)
        params, machine = proposal.params, Machine.of(host)
        about = {"uri": params["uri"], "uuid": params["domain"]}
        try:
            asked(machine, about, lambda domain: must_be_idle(domain, params["target"], self.job), LOOK)
        except VfioctlError as error:
            yield Finding(error.code, error.message, hint=" ".join(error.hints))

    def guard(self, step: Step, machine: Machine) -> None:
        """Raise StepRefused where it lies over another one by now, is no more the disk of its guest, or has a job."""
        state = DiskRebase.probe(self, step, machine)
        if state is State.FOREIGN:
            raise StepRefused("disk.changed", self.foreign(step, machine))
        if not on_guest(step, machine, runs):
            super().guard(step, machine)
        elif state is State.BEFORE:
            on_guest(step, machine, lambda domain: self.must_fit(step, machine, domain))

    def must_fit(self, step: Step, machine: Machine, domain: Domain) -> None:
        """Raise StepRefused where the running guest is not on `path`, or another job is at work."""
        present, path = layers(domain.handle, step.params["target"])[:1], machine.paths.at(step.params["path"])
        if not any(is_same(one, path) for one in present):
            said = f"is {present[0] if present else 'gone'}, not {path}"
            raise changed(f"The disk {step.params['target']} of the running guest {domain.handle.name()} {said}.")
        must_be_idle(domain, step.params["target"], self.job)

    def apply(self, step: Step, machine: Machine) -> str | None:
        if on_guest(step, machine, runs):
            return on_guest(step, machine, lambda domain: self._at_work(step, machine, domain))
        said = super().apply(step, machine)
        on_guest(step, machine, lambda domain: _follow(step, domain))
        return said

    def probe(self, step: Step, machine: Machine) -> State:
        """A job that is at work has come somewhere between: libvirt lets go of what was below at its end."""
        state = super().probe(step, machine)
        if state is State.FOREIGN:
            return state
        at_work = on_guest(step, machine, lambda domain: _job(domain, step.params["target"]) == self.job)
        return State.BETWEEN if at_work else state

    def undo(self, step: Step, machine: Machine) -> str | None:
        """Of a guest that runs, nothing but the end of the job: its image does without what it was over."""
        if not on_guest(step, machine, runs):
            return super().undo(step, machine)
        on_guest(step, machine, lambda domain: end_job(domain, step.params["target"]))
        return f"{step.params['path']} says the same to its guest over either image"

    def begin(self, step: Step, machine: Machine, handle: Any) -> None:
        """Let libvirt begin its job."""
        target, to = step.params["target"], step.params["to"]
        handle.blockRebase(target, layer(step, machine, handle, to) if to else None, 0, 0)

    def _at_work(self, step: Step, machine: Machine, domain: Domain) -> str | None:
        """A job that is there was begun by an operation that was killed."""
        handle, target = domain.handle, step.params["target"]
        if not handle.blockJobInfo(target, 0):
            if DiskRebase.probe(self, step, machine) is State.AFTER:
                return self.already(step, machine)
            self.begin(step, machine, handle)

        def is_over() -> bool:
            machine.checkpoint()
            job = handle.blockJobInfo(target, 0)
            if job:
                machine.progress(job.get("cur", 0), job.get("end", 0), "bytes")
            return not job

        if not until(is_over, step.deadline):
            raise StepFailed("disk.failed", f"The disk {target} of {handle.name()} was not copied in time.")
        if DiskRebase.probe(self, step, machine) is not State.AFTER:
            said = f"What the disk {target} of {handle.name()} needs could not be copied; QEMU says why in its log."
            raise StepFailed("disk.failed", said, hints=(f"See: /var/log/libvirt/qemu/{handle.name()}.log",))
        return None


def on_guest(step: Step, machine: Machine, work: Callable[[Domain], T]) -> T:
    """What `work` returns about the guest of the step, in its time."""
    about = {"uri": step.params["uri"], "uuid": step.params["domain"]}
    return asked(machine, about, work, step.deadline)


def layers(handle: Any, target: str) -> tuple[str, ...]:
    """The images of the disk of a running guest, as libvirt calls them, from the one that it writes to down."""
    found = (disk for disk in guest_disks(handle.XMLDesc(0)) if disk.target == target)
    return next(((disk.source, *disk.backing) for disk in found), ())


def layer(step: Step, machine: Machine, handle: Any, path: str) -> str:
    """One of those, as libvirt calls it. Raises StepRefused."""
    target, there = step.params["target"], machine.paths.at(path)
    if found := next((one for one in layers(handle, target) if os.path.exists(one) and is_same(one, there)), None):
        return found
    raise changed(f"The disk {target} of the running guest {handle.name()} does not lie over {there}.")


def changed(said: str) -> StepRefused:
    return StepRefused("disk.changed", said, hints=("Look at it, then plan it once more.",))


def end_job(domain: Domain, target: str) -> None:
    """End the job on the disk where there is one; libvirt returns when it has ended."""
    if domain.handle.blockJobInfo(target, 0):
        domain.handle.blockJobAbort(target, 0)


def runs(domain: Domain) -> bool:
    return bool(domain.handle.isActive())


def _job(domain: Domain, target: str) -> str:
    """The sort of the job on the disk; "another" for one that no step of ours begins, "" for none, or an off guest."""
    import libvirt

    found = domain.found
    if found is None or not found.isActive() or not layers(found, target):
        return ""
    if not (job := found.blockJobInfo(target, 0)):
        return ""
    known = {getattr(libvirt, f"VIR_DOMAIN_BLOCK_JOB_TYPE_{sort}"): sort for sort in ("PULL", "COMMIT")}
    return known.get(job.get("type"), "another")


def must_be_idle(domain: Domain, target: str, sort: str) -> None:
    if _job(domain, target) in ("", sort):
        return
    said = f"A job runs on the disk {target} of the guest {domain.handle.name()} already."
    hint = f"See: virsh blockjob --domain {domain.uuid} --path {target} --info"
    raise StepRefused("disk.busy", said, hints=(hint,))


def _follow(step: Step, domain: Domain) -> None:
    """Let the configuration of a guest that is off name none of the images below, as libvirt does after its job."""
    if domain.handle.isActive() or not domain.xml:
        return
    followed = without_chain(domain.xml, step.params["target"])
    if canonical(followed) != canonical(domain.xml):
        domain.connection.defineXML(followed)


KIND = DiskPull()
