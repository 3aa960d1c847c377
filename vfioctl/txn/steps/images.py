"""Disk images as the snapshot steps change them, by backend. Never opens one that is in use: no --force-share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from vfioctl.errors import StepFailed, VfioctlError
from vfioctl.frozen import frozen
from vfioctl.txn.steps.common import Budget

if TYPE_CHECKING:
    from vfioctl.proc import Programs


@frozen
class Backend:
    """How snapshots of one storage are listed, made and deleted; each gives the program's argv."""

    list: Callable[[str], tuple[str, ...]]
    names: Callable[[str], tuple[str, ...]]
    create: Callable[[str, str], tuple[str, ...]]
    delete: Callable[[str, str], tuple[str, ...]]


def _qcow2_names(shown: str) -> tuple[str, ...]:
    return tuple(snapshot["name"] for snapshot in json.loads(shown).get("snapshots", ()))


BACKENDS = {
    "qcow2": Backend(
        list=lambda path: ("qemu-img", "info", "-f", "qcow2", "--output=json", "--", path),
        names=_qcow2_names,
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


def has_snapshot(programs: Programs, kind: str, path: str, name: str, *, deadline: float) -> bool:
    """Whether the image at `path` has a snapshot called `name`. Raises StepFailed("snapshot.unreadable")."""
    storage = backend(kind)
    listed = programs.run(storage.list(path), deadline=deadline)
    if not listed.ok:
        raise StepFailed("snapshot.unreadable", f"The snapshots of {path} cannot be read: {listed.why()}.")
    try:
        return name in storage.names(listed.stdout)
    except (ValueError, KeyError, TypeError) as error:
        raise StepFailed("snapshot.unreadable", f"What {listed.argv[0]} says of {path} is not understood.") from error


def change(
    programs: Programs, argv: Callable[[str, str], tuple[str, ...]], path: str, name: str, *, budget: Budget, doing: str
) -> None:
    """Run one change of an image. Raises StepFailed("snapshot.failed"); an image in use is locked and fails here."""
    done = programs.run(argv(path, name), deadline=budget.left)
    if not done.ok:
        raise StepFailed("snapshot.failed", f"{doing} snapshot {name!r} of {path} failed: {done.why()}.")
