"""What a plan is made from: one guest, its disks, its records and every image around them. Types and graph; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vfioctl.plugin import TYPE_CHECKING, field, frozen
from vfioctl_snapshot.headers import Image
from vfioctl_snapshot.record import Record, Records

if TYPE_CHECKING:
    from vfioctl.plugin import GuestDisk, GuestSnapshot

OFF, RUNNING, PAUSED = "off", "running", "paused"


@frozen
class File:
    """A file, and which one of that name it is."""

    path: str
    device: int
    inode: int


@frozen
class Facts:
    """`xml` is the configuration of the guest; `images` are those in the directories of its images, by their path.

    `disks` are those that it has now; `strayed` are the targets of those that its configuration has otherwise.

    `others` are the paths that other guests of the node name. `free` has the free bytes of each directory; `files` are
    the NVRAM, the state of the TPM, what lies beside each, and the records.
    """

    uuid: str
    name: str
    uri: str
    state: str
    xml: str
    disks: tuple[GuestDisk, ...]
    saved: bool = False
    persistent: bool = True
    nvram: str = ""
    uefi: bool = False
    vtpm: str = ""  # the backend of its TPM: emulator, passthrough, external
    tpm: str = ""  # the file with the state of an emulated one
    strayed: frozenset[str] = frozenset()
    hostdevs: int = 0
    node: str = "local"
    files_seen: bool = True  # records and images could be looked at: not on another host, nor without root
    records: Records = field(default_factory=Records)
    images: Mapping[str, Image] = field(default_factory=dict)
    others: frozenset[str] = frozenset()
    libvirt: tuple[GuestSnapshot, ...] = ()
    free: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)

    def disk(self, target: str) -> GuestDisk | None:
        return next((disk for disk in self.disks if disk.target == target), None)

    @property
    def runs(self) -> bool:
        """Whether a QEMU has its disks, so that only libvirt can change over from one image to another."""
        return self.state in (RUNNING, PAUSED)

    @property
    def nvram_exists(self) -> bool:
        return self.nvram in self.files

    @property
    def tpm_exists(self) -> bool:
        return self.tpm in self.files

    @property
    def active(self) -> tuple[str, ...]:
        """The images that the guest writes to."""
        return tuple(disk.source for disk in self.disks if disk.source)

    @property
    def mentioned(self) -> tuple[str, ...]:
        """Those, and the images of its snapshots."""
        return (*self.active, *(path for record in self.records.readable for path in record.images))

    @property
    def family(self) -> frozenset[str]:
        """The images that only this guest and its snapshots may depend on."""
        return frozenset(self.mentioned)


def below(facts: Facts, path: str, form: str) -> tuple[str, str]:
    """Path and format of what lies below the image at `path`; empty for nothing.

    A raw disk's content is the guest's: what looks like a header in it says nothing.
    """
    image = facts.images.get(path)
    if form != "qcow2" or image is None or not image.backing:
        return "", ""
    return image.backing, image.backing_format


def chain(facts: Facts, path: str, form: str) -> tuple[tuple[str, str], ...]:
    """The images from `path` down, each with its format, top first. A circle ends where it closes."""
    found: list[tuple[str, str]] = []
    while path and path not in dict(found):
        found.append((path, form))
        path, form = below(facts, path, form)
    return tuple(found)


def dependents(facts: Facts, path: str) -> Iterator[str]:
    """The images that lie directly over `path`: without it they are lost."""
    for other, image in facts.images.items():
        if image.backing == path and other != path:
            yield other


def parent(facts: Facts, record: Record) -> str:
    """The snapshot that `record` was made after, by its chain; "" for none."""
    for part in record.disks:
        lower = {path for path, _ in chain(facts, part.image, part.format)[1:]}
        for other in reversed(facts.records.readable):
            if other.name != record.name and lower & set(other.images):
                return other.name
    return ""


def current(facts: Facts) -> str:
    """The snapshot that the present state of the disks was made after; "" for none."""
    for record in reversed(facts.records.readable):
        over = {part.target: part.image for part in record.disks}
        for disk in facts.disks:
            if over.get(disk.target) and below(facts, disk.source, disk.format)[0] == over[disk.target]:
                return record.name
    return ""


def missing_parts(facts: Facts, record: Record) -> tuple[str, ...]:
    """What of `record` is not there any more, in words."""
    gone = ["the content of its images (its deletion has begun)"] if record.going else []
    gone += [f"{part.target}'s image {part.image}" for part in record.disks if part.image not in facts.images]
    if record.nvram and record.nvram not in facts.files:
        gone.append(f"the copy of its NVRAM {record.nvram}")
    if record.tpm and record.tpm not in facts.files:
        gone.append(f"the copy of its TPM's state {record.tpm}")
    return tuple(gone)
