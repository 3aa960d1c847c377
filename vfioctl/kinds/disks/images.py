"""Disk images as the snapshot steps change them, by backend. Never opens one that is in use: no --force-share."""

from __future__ import annotations

import json
from collections.abc import Callable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, VfioctlError
from vfioctl.frozen import frozen
from vfioctl.txn.clock import Deadline

if TYPE_CHECKING:
    from vfioctl.proc import Completed, Programs


@frozen
class Snapshot:
    """One snapshot. `made` tells it from another one that is made later under the same name."""

    name: str
    made: str


@frozen
class Backend:
    """How snapshots of one storage are listed, made and deleted; each but `read` gives the program's argv."""

    list: Callable[[str], tuple[str, ...]]
    read: Callable[[str], tuple[Snapshot, ...]]
    create: Callable[[str, str], tuple[str, ...]]
    delete: Callable[[str, str], tuple[str, ...]]


def _qcow2(shown: str) -> tuple[Snapshot, ...]:
    """QEMU numbers snapshots and keeps when each was made; no two need to differ in name (SnapshotInfo in QAPI)."""
    return tuple(
        Snapshot(item["name"], f"{item['id']} {item['date-sec']}.{item['date-nsec']}")
        for item in json.loads(shown).get("snapshots", ())
    )


BACKENDS = {
    "qcow2": Backend(
        list=lambda path: ("qemu-img", "info", "-f", "qcow2", "--output=json", "--", path),
        read=_qcow2,
        create=lambda path, name: ("qemu-img", "snapshot", "-c", name, "--", path),
        delete=lambda path, name: ("qemu-img", "snapshot", "-d", name, "--", path),
    ),
}


def backend(name: str) -> Backend:
    """Raises VfioctlError("snapshot.backend")."""
    if name not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise VfioctlError("snapshot.backend", f"There is no snapshot backend {name!r}; known are {known}.")
    return BACKENDS[name]


def snapshots(run: Callable[..., Completed], kind: str, path: str, *, deadline: float) -> tuple[Snapshot, ...]:
    """The snapshots of the image at `path`, in its own order, as a program that `run` runs says them.

    Raises StepFailed("snapshot.unreadable").
    """
    storage = backend(kind)
    listed = run(storage.list(path), deadline=deadline)
    if not listed.ok:
        raise StepFailed("snapshot.unreadable", f"The snapshots of {path} cannot be read: {listed.why()}.")
    try:
        return storage.read(listed.stdout)
    except (ValueError, KeyError, TypeError) as error:
        raise StepFailed("snapshot.unreadable", f"What {listed.argv[0]} says of {path} is not understood.") from error


def change(
    programs: Programs, argv: Callable[[str, str], tuple[str, ...]], path: str, name: str, *, deadline: Deadline,
    doing: str,
) -> None:
    """Run one change of an image. Raises StepFailed("snapshot.failed"); an image in use is locked and fails here.

    Killed on its way, qemu-img leaves an image whose tables claim for themselves what a snapshot shares: the guest
    would write into that (`qemu-img check` of 7.2: OFLAG_COPIED, and leaked clusters).
    """
    done = programs.run(argv(path, name), deadline=deadline.left, whole=True)
    if not done.ok:
        raise StepFailed("snapshot.failed", f"{doing} snapshot {name!r} of {path} failed: {done.why()}.")
