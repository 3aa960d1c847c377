"""disk.overlay: makes an empty qcow2 image above another one, whose content a guest sees in it. Decides no name."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.disks import locks, qemu
from vfioctl.kinds.disks.made import Making
from vfioctl.kinds.files.place import FILE, MODE
from vfioctl.txn.shape import ABSOLUTE, COUNT, FLAG, NAME, TEXT, Shape, one_of, optional

if TYPE_CHECKING:
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

FORMATS = ("raw", "qcow2", "qcow", "qed", "vmdk", "vdi", "vpc", "vhdx")


class DiskOverlay(Making):
    """{path, backing, backing_format, size?, mode, owner, group, label?, live?, uri?, domain?}: size: bytes that the
    guest sees, those of backing unless it says otherwise, never less; owner, group: numbers; label: of SELinux; live: a
    guest may be writing to backing, since libvirt changes over to the new image later; uri, domain: a node and the UUID
    of the guest that is to have it: the undo leaves it where that one, or another one there, does"""

    name = "disk.overlay"
    summary = "Makes an empty image above another one; removed again only on failure, and only while it is empty."
    takes = Shape(
        path=FILE, backing=ABSOLUTE, backing_format=one_of(*FORMATS), size=optional(COUNT), mode=MODE, owner=COUNT,
        group=COUNT, label=optional(TEXT), live=optional(FLAG), uri=optional(TEXT), domain=optional(NAME),
    )  # fmt: skip

    def must_fit(self, params: Json, machine: Machine) -> None:
        backing = machine.paths.at(params["backing"])
        problem = machine.reach.ask(backing, lambda: _problem(backing, live=params.get("live", False)))
        if problem:
            raise StepRefused(*problem)
        image = qemu.look(machine, backing, params["backing_format"])
        if image.flaw:
            raise StepRefused("disk.unsupported", f"Nothing is made above {backing}: {image.flaw}.")
        if params.get("size", image.size) < image.size:
            said = f"An image of {params['size']} bytes is too small for what is in {backing}: {image.size} bytes."
            raise StepRefused("disk.too_small", said)

    def fill(self, step: Step, machine: Machine, fd: int) -> None:
        params, backing = step.params, machine.paths.at(step.params["backing"])
        size = params.get("size") or qemu.look(machine, backing, params["backing_format"]).size
        argv = (
            "qemu-img", "create", "-q", "-f", "qcow2", "-u", "-F", params["backing_format"], "-b", backing,
            f"/proc/self/fd/{fd}", str(size),
        )  # fmt: skip
        machine.checkpoint()
        qemu.work(machine, argv, deadline=step.deadline, path=machine.paths.at(params["path"]))


def _problem(backing: str, *, live: bool) -> tuple[str, str] | None:
    """Why nothing may be made above it, by code and sentence."""
    try:
        with locks.seen(backing) as fd:
            busy = locks.is_written(fd) and not live
    except FileNotFoundError:
        return "file.missing", f"There is no disk image {backing}."
    except OSError as error:
        return "disk.unreadable", f"The image {backing} cannot be opened: {error.strerror}."
    return ("disk.busy", f"{backing} is in use: a guest or a program may write to it.") if busy else None


KIND = DiskOverlay()
