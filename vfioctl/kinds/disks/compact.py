"""A qcow2 image written anew beside itself, without what it takes and does not use. Knows no guest, and no libvirt.

What is written is compared with the image, as a guest sees both, before it takes its place. Options are those of the
image: what `qemu-img info` says of them (QEMU's BlockdevOptions and ImageInfoSpecificQCow2 in QAPI).
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.frozen import frozen
from vfioctl.host import images
from vfioctl.kinds.disks import locks, qemu
from vfioctl.kinds.files.marks import temporary_name

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.kinds.files.place import Place
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Step

BLOCK = 512  # bytes, of st_blocks
COMPACTED = "user.vfioctl.compacted"  # an extended attribute: the operation that wrote the image anew
# What belongs to the bytes of a file, not to its name: the kernel computes or refuses it (security/integrity).
UNCOPIED = frozenset((COMPACTED, *(f"security.{name}" for name in ("ima", "evm"))))
OPTIONS = {
    "compat": "compat", "lazy-refcounts": "lazy_refcounts", "refcount-bits": "refcount_bits",
    "compression-type": "compression_type", "extended-l2": "extended_l2",
}  # fmt: skip
DIFFERENT = 1  # qemu-img compare's status for images that are not the same


@frozen
class Source:
    """An image: the options that it was made with, what it says lies below it ("" for nothing), and where that is."""

    options: str
    backing: str
    backing_format: str
    below: str


def source_of(machine: Machine, path: str) -> Source:
    """The qcow2 image at `path`. Raises StepRefused where something of it would be lost, StepFailed."""
    shown = qemu.info(machine, path, "qcow2")
    try:
        said = json.loads(shown)
        flaw = next(_flaws(said), "")
        found = Source(
            _options(said), said.get("backing-filename", ""), said.get("backing-filename-format", ""), ""
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise qemu.not_understood(path) from error
    if flaw:
        raise StepRefused("disk.unsupported", f"{path} is not compacted: {flaw}.")
    return _above(found, path) if found.backing else found


def _flaws(said: Mapping[str, Any]) -> Iterator[str]:
    specific = (said.get("format-specific") or {}).get("data") or {}
    if inside := [one["name"] for one in said.get("snapshots") or ()]:
        yield f"it has snapshots inside it, which would be lost: {', '.join(inside)}"
    if bitmaps := [one["name"] for one in specific.get("bitmaps") or ()]:
        yield f"it keeps the bitmaps of a backup program, which would be lost: {', '.join(bitmaps)}"
    yield from qemu.flaws(said)


def _options(said: Mapping[str, Any]) -> str:
    specific = said["format-specific"]["data"]
    kept = {name: specific[key] for key, name in OPTIONS.items() if key in specific}
    return ",".join(f"{name}={_value(value)}" for name, value in {"cluster_size": said["cluster-size"], **kept}.items())


def _value(value: Any) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


def _above(found: Source, path: str) -> Source:
    """The same with the way to what lies below it. Raises StepRefused where nobody can say what that is."""
    if images.PROTOCOL.match(found.backing):
        raise StepRefused("disk.unsupported", f"{path} is not compacted: it lies above {found.backing}, no file.")
    if not found.backing_format:
        said = f"{path} does not say which format {found.backing} has, above which it lies."
        raise StepRefused("disk.unstated", said)
    below = os.path.join(os.path.dirname(path), found.backing)
    return Source(found.options, found.backing, found.backing_format, below)


@frozen
class Rewriting:
    """One image that is written anew: `source` is open on it, `fd` on the new file. Each half of the work counts once.

    What it says of what lies below it is at first the whole path of that: the new file is known by its descriptor.
    """

    step: Step
    machine: Machine
    path: str
    source: int
    fd: int

    def run(self) -> None:
        """Write it, and prove that a guest sees the same in it. Raises StepFailed, OSError."""
        found = source_of(self.machine, self.path)
        below = ("-B", found.below, "-F", found.backing_format) if found.below else ()
        written = ("convert", "-p", "-f", "qcow2", "-O", "qcow2", "-o", found.options, *below, "--", self.path)
        self._qemu((*written, self._new), 0)
        self._compare()
        if found.backing not in ("", found.below):
            self._qemu(("rebase", "-u", "-f", "qcow2", "-F", found.backing_format, "-b", found.backing, "--",
                        self._new), 2)  # fmt: skip
        self._must_say(found)

    @property
    def _new(self) -> str:
        return f"/proc/self/fd/{self.fd}"

    def _qemu(self, argv: tuple[str, ...], half: int) -> None:
        qemu.work(
            self.machine, ("qemu-img", *argv), deadline=self.step.deadline, path=self.path,
            heard=lambda done: self._tell(half + done),
        )  # fmt: skip

    def _compare(self) -> None:
        argv = ("qemu-img", "compare", "-p", "-f", "qcow2", "-F", "qcow2", "--", self.path, self._new)
        ended = qemu.followed(self.machine, argv, deadline=self.step.deadline, heard=lambda done: self._tell(1 + done))
        if ended.returncode == DIFFERENT:
            said = f"What was written of {self.path} is not the same to a guest: {ended.stdout.splitlines()[-1]}"
            raise StepFailed("disk.different", said, hints=("Look at the disk that it lies on, and its kernel log.",))
        if not ended.ok:
            raise StepFailed("disk.failed", f"{self.path} could not be compared: {ended.why()}.")

    def _must_say(self, found: Source) -> None:
        """Raise StepFailed where its header names something else below it than that of the image does."""
        said = images.backing_of(self._new, "qcow2") or images.Backing("")
        if said.name != found.backing:
            below = said.name or "nothing"
            raise StepFailed("disk.different", f"What was written of {self.path} lies above {below}.")

    def _tell(self, done: float) -> None:
        self.machine.checkpoint()
        total = 2 * allocated(self.source)
        self.machine.progress(min(int(done * total / 2), total), total, "bytes")


def allocated(fd: int) -> int:
    """Bytes that the open file takes on its disk."""
    return os.fstat(fd).st_blocks * BLOCK


def dress_like(source: int, fd: int) -> None:
    """Give `fd` owner, permissions, attributes (labels, access lists) and times of `source`; durable. Raises OSError.

    The time of the last change stays: to a guest nothing has changed.
    """
    found, wanted = os.fstat(source), set(os.listxattr(source)) - UNCOPIED
    os.fchown(fd, found.st_uid, found.st_gid)
    for name in set(os.listxattr(fd)) - wanted - UNCOPIED:  # a new file gets the access list of its directory
        os.removexattr(fd, name)
    for name in sorted(wanted):
        os.setxattr(fd, name, os.getxattr(source, name))
    os.fchmod(fd, stat.S_IMODE(found.st_mode))
    os.utime(fd, ns=(found.st_atime_ns, found.st_mtime_ns))
    os.fsync(fd)


def part_of(step: Step, there: Place) -> str:
    """What the new file is called until it takes the place of the image."""
    return temporary_name(there.name, str(step.baseline["operation"]), "vfioctl-new")


def replace(step: Step, machine: Machine, there: Place, still: Callable[[int], None]) -> str | None:
    """Write the image in `there` anew, and let that take its place; why it did not where it takes no less room.

    `still` raises where it must not be replaced any more. Nothing is left of what fails. Raises StepFailed, OSError.
    """
    part, source = part_of(step, there), there.open(there.name)
    try:
        locks.keep_writers_out(source)
        return _replaced(step, machine, there, source, still)
    except BaseException:
        there.remove(part)
        raise
    finally:
        os.close(source)


def _replaced(
    step: Step, machine: Machine, there: Place, source: int, still: Callable[[int], None]
) -> str | None:
    part = part_of(step, there)
    fd = there.create(part)
    try:
        os.setxattr(fd, COMPACTED, str(step.baseline["operation"]).encode())
        Rewriting(step, machine.holding(fd), there.path, source, fd).run()
        os.fsync(fd)  # before this some file systems do not know what it takes
        if allocated(fd) >= allocated(source):
            there.remove(part)
            return f"{there.path} takes no less room when it is written anew, and stays as it is"
        dress_like(source, fd)
        still(source)
        there.replace(part)
    finally:
        os.close(fd)
    return None
