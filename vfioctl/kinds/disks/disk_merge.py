"""disk.merge: makes one image of several that lie above each other. Changes none of them.

`qemu-img convert -B` takes what lies between for the content of the base (seen in 7.2, and its manual asks that the
base be that of the image itself), so that a copy of the uppermost one is rebased.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.frozen import frozen
from vfioctl.host import images
from vfioctl.kinds.disks import locks, qemu
from vfioctl.kinds.disks.made import Making
from vfioctl.kinds.disks.users import is_same
from vfioctl.kinds.files import sparse
from vfioctl.kinds.files.place import FILE, MODE
from vfioctl.txn.shape import ABSOLUTE, COUNT, NAME, TEXT, Shape, empty_or, one_of, optional

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

TOP = "qcow2"  # nothing else that is written today lies above another image
BLOCK = 512  # bytes, of st_blocks


class DiskMerge(Making):
    """{path, top, base, format, mode, owner, group, label?, uri?, domain?}: top: a qcow2 image; base: the image below
    it that is kept below the new one, "" for none; format: of the new image, "qcow2" or, without a base, "raw"; owner,
    group: numbers; label: of SELinux; uri, domain: a node and the UUID of the guest that is to have it: the undo leaves
    it where that one, or another one there, does"""

    name = "disk.merge"
    summary = "Makes one image of several that lie above each other; removed again only on failure."
    takes = Shape(
        path=FILE, top=ABSOLUTE, base=empty_or(ABSOLUTE), format=one_of("qcow2", "raw"), mode=MODE, owner=COUNT,
        group=COUNT, label=optional(TEXT), uri=optional(TEXT), domain=optional(NAME),
    )  # fmt: skip

    def unfit(self, params: Json) -> str:
        if found := super().unfit(params):
            return found
        return "format is raw, which nothing can lie below" if params["base"] and params["format"] == "raw" else ""

    def needed(self, params: Json, paths: Paths) -> int:
        top, base = _ends(params, paths)
        return _allocated(top, *(layer.path for layer in chain(top) if not is_same(layer.path, base)))

    def must_fit(self, params: Json, machine: Machine) -> None:
        top, base = _ends(params, machine.paths)
        if problem := machine.reach.ask(top, lambda: next(_problems(top, base), None)):
            raise StepRefused(*problem)
        if flaw := qemu.look(machine, top, TOP).flaw:
            raise StepRefused("disk.unsupported", f"{top} is not merged: {flaw}.")

    def fill(self, step: Step, machine: Machine, fd: int) -> None:
        Merging(step, machine, fd, self.needed(step.params, machine.paths)).run()


@frozen
class Layer:
    """An image below another one, and the format that the other one says ("" when it does not)."""

    path: str
    form: str


@frozen
class Merging:
    """One merge. Its progress counts the bytes that may have to be read: what is a hole is passed at once."""

    step: Step
    machine: Machine
    fd: int
    total: int

    def run(self) -> None:
        top, base = _ends(self.step.params, self.machine.paths)
        if base:
            self._copied(top)
            self._rebased(top, base)
        else:
            self._qemu(("convert", "-p", "-f", TOP, "-O", self.step.params["format"], "--", top), 0.0)

    def _copied(self, top: str) -> None:
        share = self._share(top)
        with locks.seen(top) as fd:
            sparse.copy(fd, self.fd, lambda done, size: self._tell(share * done / (size or 1)))

    def _rebased(self, top: str, base: str) -> None:
        """First the name of what is below it is made absolute: the copy may lie elsewhere."""
        first, *further = chain(top, base)
        self._qemu(("rebase", "-u", "-f", TOP, "-F", first.form, "-b", first.path, "--"), self._share(top), 0.0)
        if further:
            self._qemu(("rebase", "-p", "-f", TOP, "-F", further[-1].form, "-b", base, "--"), self._share(top))

    def _qemu(self, argv: tuple[str, ...], start: float, length: float = 1.0) -> None:
        """Run qemu-img on the new image; of all that is to be done, what it does begins at `start`."""
        length = min(length, 1.0 - start)
        qemu.work(
            self.machine, ("qemu-img", *argv, f"/proc/self/fd/{self.fd}"), deadline=self.step.deadline,
            path=self.machine.paths.at(self.step.params["path"]), heard=lambda done: self._tell(start + done * length),
        )  # fmt: skip

    def _share(self, top: str) -> float:
        return _allocated(top) / (self.total or 1)

    def _tell(self, done: float) -> None:
        self.machine.checkpoint()
        self.machine.progress(int(done * self.total), self.total, "bytes")


def chain(top: str, base: str = "") -> tuple[Layer, ...]:
    """What lies below the qcow2 image `top`, down to `base`, or all of it. Raises OSError."""
    found: list[Layer] = []
    path, form = top, TOP
    while (backing := images.backing_of(path, form)) and backing.name and len(found) < images.LONGEST:
        path, form = os.path.join(os.path.dirname(path), backing.name), backing.form
        found.append(Layer(path, form))
        if not os.path.exists(path) or is_same(path, base):
            break
    return tuple(found)


def _problems(top: str, base: str) -> Iterator[tuple[str, str]]:
    """Why they are not merged, by code and sentence."""
    try:
        layers = chain(top, base)
    except OSError as error:
        yield "disk.unreadable", f"What lies below {top} cannot be read: {error.strerror}."
        return
    for layer in layers:
        if not os.path.exists(layer.path):
            yield "disk.incomplete", f"{layer.path} does not exist, or is no file; it lies below {top}."
        if not layer.form:
            yield "disk.unstated", f"The image above {layer.path} does not say which format that has."
    if len(layers) == images.LONGEST:
        yield "disk.too_deep", f"More than {images.LONGEST} images lie below {top}, or they lie in a circle."
    if base and not (layers and is_same(layers[-1].path, base)):
        yield "disk.not_below", f"{base} does not lie below {top}."
    yield from (
        ("disk.busy", f"{path} is in use: a guest or a program may write to it.")
        for path in (top, *(layer.path for layer in layers)) if _is_written(path)
    )


def _is_written(path: str) -> bool:
    try:
        with locks.seen(path) as fd:
            return locks.is_written(fd)
    except OSError:
        return False


def _ends(params: Json, paths: Paths) -> tuple[str, str]:
    return paths.at(params["top"]), params["base"] and paths.at(params["base"])


def _allocated(*paths: str) -> int:
    """Bytes that they take on their disks."""
    return sum(os.stat(path).st_blocks * BLOCK for path in paths)


KIND = DiskMerge()
