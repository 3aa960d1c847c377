"""disk.pull: disk.rebase of what a running guest writes to, by libvirt's own block job. Removes no image.

QEMU copies into the image while the guest goes on, and changes its header at the end (virDomainBlockRebase), so that
the guest sees the same at every moment; a job that ends early loses nothing. Once the guest is off, qemu-img does it.
"""

from __future__ import annotations

import os

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.disks.disk_rebase import FORMATS, DiskRebase
from vfioctl.kinds.disks.users import is_same
from vfioctl.kinds.libvirt.documents import canonical, drives, without_chain
from vfioctl.kinds.libvirt.domains import URI, Domain, asked
from vfioctl.txn.shape import ABSOLUTE, TEXT, UUID, Shape, empty_or, one_of
from vfioctl.txn.step import State
from vfioctl.virt.disks import guest_disks
from vfioctl.wait import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

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

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "the copying ends; what was copied stays, and says the same"

    def guard(self, step: Step, machine: Machine) -> None:
        """Raise StepRefused where it lies over another one by now, is no more the disk of its guest, or has a job."""
        state = self.probe(step, machine)
        if state is State.FOREIGN:
            raise StepRefused("disk.changed", self.foreign(step, machine))
        if not _on(step, machine, _runs):
            super().guard(step, machine)
        elif state is State.BEFORE:
            _on(step, machine, lambda domain: _must_fit(step, machine, domain))

    def apply(self, step: Step, machine: Machine) -> str | None:
        if self.probe(step, machine) is State.AFTER or not _on(step, machine, _runs):
            said = super().apply(step, machine)
            _on(step, machine, lambda domain: _follow(step, domain))
            return said
        _on(step, machine, lambda domain: self._pulled(step, machine, domain))
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        """Of a guest that runs, nothing but the end of the job: its image does without what it was over."""
        if not _on(step, machine, _runs):
            return super().undo(step, machine)
        _on(step, machine, lambda domain: _ended(domain.handle, step.params["target"]))
        return f"{step.params['path']} says the same to its guest over either image"

    def _pulled(self, step: Step, machine: Machine, domain: Domain) -> None:
        handle, target = domain.handle, step.params["target"]
        if not handle.blockJobInfo(target, 0):  # an operation that was killed has begun it already
            handle.blockRebase(target, _layer(step, machine, handle), 0, 0)

        def is_over() -> bool:
            machine.checkpoint()
            job = handle.blockJobInfo(target, 0)
            if job:
                machine.progress(job.get("cur", 0), job.get("end", 0), "bytes")
            return not job

        if not until(is_over, step.deadline):
            raise StepFailed("disk.failed", f"The disk {target} of {handle.name()} was not copied in time.")
        if self.probe(step, machine) is not State.AFTER:
            said = f"What the disk {target} of {handle.name()} needs could not be copied; QEMU says why in its log."
            raise StepFailed("disk.failed", said, hints=(f"See: /var/log/libvirt/qemu/{handle.name()}.log",))


def _on(step: Step, machine: Machine, work: Callable[[Domain], T]) -> T:
    about = {"uri": step.params["uri"], "uuid": step.params["domain"]}
    return asked(machine, about, work, step.deadline)


def _runs(domain: Domain) -> bool:
    return bool(domain.handle.isActive())


def _must_fit(step: Step, machine: Machine, domain: Domain) -> None:
    import libvirt

    handle, target, path = domain.handle, step.params["target"], machine.paths.at(step.params["path"])
    present = drives(handle.XMLDesc(0)).get(target, "")
    if not is_same(present, path):
        said = f"The disk {target} of the running guest {handle.name()} is {present or 'gone'}, not {path}."
        raise StepRefused("disk.changed", said, hints=("Look at it, then plan it once more.",))
    job = handle.blockJobInfo(target, 0) or {}
    if job and job.get("type") != libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_PULL:
        said = f"A job runs on the disk {target} of the guest {handle.name()} already."
        hint = f"See: virsh blockjob --domain {domain.uuid} --path {target} --info"
        raise StepRefused("disk.busy", said, hints=(hint,))


def _follow(step: Step, domain: Domain) -> None:
    """Let the configuration of a guest that is off name none of the images below, as libvirt does after its job."""
    if domain.handle.isActive() or not domain.xml:
        return
    followed = without_chain(domain.xml, step.params["target"])
    if canonical(followed) != canonical(domain.xml):
        domain.connection.defineXML(followed)


def _layer(step: Step, machine: Machine, handle: Any) -> str | None:
    """What is to lie below, as libvirt calls it; None for nothing. Raises StepFailed."""
    if not (to := step.params["to"] and machine.paths.at(step.params["to"])):
        return None
    disk = next(one for one in guest_disks(handle.XMLDesc(0)) if one.target == step.params["target"])
    if found := next((one for one in disk.backing if os.path.exists(one) and is_same(one, to)), None):
        return found
    said = f"The disk {disk.target} of the running guest {handle.name()} does not lie over {to}."
    raise StepFailed("disk.changed", said)


def _ended(handle: Any, target: str) -> None:
    """End the job on the disk where there is one; libvirt returns when it has ended."""
    if handle.blockJobInfo(target, 0):
        handle.blockJobAbort(target, 0)


KIND = DiskPull()
