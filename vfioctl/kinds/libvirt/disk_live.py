"""disk.live: libvirt's own snapshot of the disks of a running guest: of all of them at once, or of none.

On request the guest's file systems stand still for that moment. A mark says so; whoever undoes lets them go on.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from xml.etree import ElementTree as ET

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused, VfioctlError
from vfioctl.kinds.disks import locks
from vfioctl.kinds.libvirt import agent, marks
from vfioctl.kinds.libvirt.documents import drives, same_drives
from vfioctl.kinds.libvirt.domains import SNAPSHOT, URI, Domain, DomainChange, afresh, is_paused, on, text
from vfioctl.kinds.libvirt.snapshot_record import forget
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import FLAG, NAME, UUID, Shape, optional
from vfioctl.txn.step import State, Undo
from vfioctl.wait import until

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class DiskLive(DomainChange):
    """{uri, uuid, name, blob, quiesce?, reuse?}: blob: the name of the <domainsnapshot> that libvirt is to make, with
    the target and the new file of each disk; quiesce: the guest's agent lets its file systems stand still meanwhile;
    reuse: the new files are there, as disk.overlay with live makes them"""

    name = "disk.live"
    summary = "Makes a snapshot of the disks of a running guest; on failure they are one again, and it runs on."
    marks = True
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID, name=SNAPSHOT, blob=BLOB, quiesce=optional(FLAG), reuse=optional(FLAG))
    keeps = Shape(operation=NAME)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "its disks are merged again while it runs"

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:
        name = params["name"]
        text(machine.paths, params["blob"])
        if not domain.handle.isActive():
            raise StepRefused("domain.off", f"The guest {domain.handle.name()} is off.")
        if domain.record(name):
            said = f"The guest has a snapshot {name!r} already."
            raise StepRefused("snapshot.exists", said, hints=("Choose another name.",))
        if params.get("quiesce", False) and not is_paused(domain.handle) and not agent.is_connected(domain.handle):
            said = f"The agent of the guest {domain.handle.name()} is not connected, so that nothing can stand still."
            hint = "Start qemu-guest-agent in it, or do without --quiesce."
            raise StepRefused("guest.no_agent", said, hints=(hint,))

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:
        handle, kept = domain.found, domain.record(step.params["name"])
        if handle is not None and marks.running(handle, marks.FROZEN) == _operation(step):
            return State.BETWEEN
        if not kept:
            return State.BEFORE
        ours = handle is not None and handle.isActive() and same_drives(text(paths, step.params["blob"]), kept)
        return State.AFTER if ours else State.FOREIGN

    def apply(self, step: Step, machine: Machine) -> str | None:
        if on(step, machine, lambda domain: self.state(step, machine.paths, domain)) is State.AFTER:
            return f"the guest has a snapshot {step.params['name']!r} already"
        quiet = on(step, machine, lambda domain: is_paused(domain.handle))  # it writes nothing
        if quiet or not step.params.get("quiesce", False):
            on(step, machine, lambda domain: _snap(step, machine.paths, domain))
            return None
        _at_a_standstill(step, machine)
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        afresh(step, machine, lambda domain: _thaw(step, domain))
        merged = on(step, machine, lambda domain: _merge(step, machine, domain))
        left = [path for path in merged if not _removed(step, machine, path)]
        return f"{', '.join(left)} could not be removed; nothing uses it any more" if left else None

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        name, uuid = step.params["name"], step.params["uuid"]
        return f"The snapshot {name!r} of {uuid} is another one, or the guest was switched off since. It stays."


def _at_a_standstill(step: Step, machine: Machine) -> None:
    """Whatever fails is raised; whether the guest could be let go then, the undo sees by the mark."""
    try:
        on(step, machine, lambda domain: _freeze(step, domain))
        on(step, machine, lambda domain: _snap(step, machine.paths, domain))
    except BaseException:
        with suppress(VfioctlError):
            afresh(step, machine, lambda domain: _thaw(step, domain))
        raise
    afresh(step, machine, lambda domain: _thaw(step, domain))


def _freeze(step: Step, domain: Domain) -> None:
    """The mark goes first: whoever finds it lets the guest go on, whether or not it came to a standstill.

    One that a process of ours that died has stopped goes on before: its agent does not stop it twice.
    """
    import libvirt

    _thaw(step, domain)
    marks.tell(domain.handle, marks.FROZEN, _operation(step))
    try:
        agent.freeze(domain.handle)
    except libvirt.libvirtError as error:
        said = f"The file systems of the guest {domain.handle.name()} did not come to a standstill: {error}."
        raise StepFailed("guest.not_frozen", said, hints=("Look at its agent, or do without --quiesce.",)) from error


def _thaw(step: Step, domain: Domain) -> None:
    """Let a guest go on that this operation has stopped. Raises StepFailed("guest.not_thawed"); the mark stays then."""
    handle = domain.found
    if handle is None or marks.running(handle, marks.FROZEN) != _operation(step):
        return
    if agent.is_connected(handle):
        _let_go_on(handle)
    marks.tell(handle, marks.FROZEN, "")


def _let_go_on(handle: Any) -> None:
    """An agent that was late with the standstill may still come to it, and answers nothing until then (seen in 7.2)."""
    import libvirt

    try:
        agent.thaw(handle)
    except libvirt.libvirtError as error:
        name = handle.name()
        said = f"The file systems of the guest {name} stand still, or will: its agent did not let them go on: {error}."
        hint = "When its agent answers: vfioctl recover"
        raise StepFailed("guest.not_thawed", said, hints=(hint,)) from error


def _snap(step: Step, paths: Paths, domain: Domain) -> None:
    import libvirt

    more = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT if step.params.get("reuse", False) else 0
    way = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    domain.handle.snapshotCreateXML(text(paths, step.params["blob"]), way | more)


def _merge(step: Step, machine: Machine, domain: Domain) -> tuple[str, ...]:
    """Write what the guest has written since to the images below; returns the files that nothing needs any more."""
    asked = text(machine.paths, step.params["blob"])
    kept = domain.record(step.params["name"])
    if not kept or not same_drives(asked, kept):
        return ()
    new, present = drives(asked), drives(domain.handle.XMLDesc(0))
    for target, path in new.items():
        if present.get(target) == path:
            _pivot(domain.handle, target, machine, step.deadline)
    forget(domain, step.params["name"])
    return tuple(new.values())


def _pivot(handle: Any, target: str, machine: Machine, seconds: float) -> None:
    import libvirt

    way = libvirt.VIR_DOMAIN_BLOCK_COMMIT_SHALLOW | libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE
    if not handle.blockJobInfo(target, 0):  # an undo that was killed has begun it already
        handle.blockCommit(target, None, None, 0, way)

    def is_merged() -> bool:
        """Change over as soon as both say the same: `cur` may be `end` a moment before (seen in 9.0)."""
        machine.checkpoint()
        job = handle.blockJobInfo(target, 0) or {}
        machine.progress(job.get("cur", 0), job.get("end", 0), "bytes")
        return bool(job.get("end")) and job["cur"] == job["end"] and _changed_over(handle, target)

    if not until(is_merged, seconds):
        raise StepFailed("disk.failed", f"The disk {target} of {handle.name()} could not be merged in time.")


def _changed_over(handle: Any, target: str) -> bool:
    import libvirt

    try:
        handle.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_BLOCK_COPY_ACTIVE:
            raise
        return False
    return True


def _removed(step: Step, machine: Machine, path: str) -> bool:
    """Remove an image that libvirt made, or took, for the snapshot, and that is merged now; whether it is gone."""
    if step.params["uri"].startswith("qemu:///"):
        with suppress(PermissionError):  # a member of the group libvirt owns no image
            return _unlinked(path)
    return on(step, machine, lambda domain: _deleted(domain.connection, path))


def _deleted(connection: Any, path: str) -> bool:
    """By the pool that the directory is, where there is one; it learns of files that others made when it looks."""
    import libvirt

    directory, name = os.path.split(path)
    for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
        if ET.fromstring(pool.XMLDesc()).findtext("target/path") == directory:
            pool.refresh()
            pool.storageVolLookupByName(name).delete()
            return True
    return False


def _unlinked(path: str) -> bool:
    """Of this host; not one that is open."""
    with suppress(FileNotFoundError), locks.seen(path) as fd:
        if not stat.S_ISREG(os.lstat(path).st_mode) or locks.is_open(fd):
            return False
        os.unlink(path)
    return True


def _operation(step: Step) -> str:
    return str(step.baseline["operation"])


KIND = DiskLive()
