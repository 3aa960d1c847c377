"""Whether a step's directory is the one that it was planned for: its file system may not be mounted yet. Reads only.

A mount point with nothing mounted on it is an empty directory, or none, and what a step has made seems to be gone. The
inode's number tells both apart, also after a reboot, when the device may have another number.
"""

from __future__ import annotations

import os

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.txn.shape import COUNT, maybe, optional
from vfioctl.txn.step import State

if TYPE_CHECKING:
    from vfioctl.txn.step import Json, Step

DIRECTORY = optional(maybe(COUNT))  # of a baseline; plans of older versions have none
OURS = (State.AFTER, State.BETWEEN)


def noted(directory: str) -> Json:
    """For a baseline: the inode of `directory`, None where it is not there."""
    return {"directory": _inode(directory)}


def sure(state: State, step: Step, directory: str) -> State:
    """`state`, which `directory` shows. Raises StepFailed as must_be where it shows nothing of the step's own."""
    if state not in OURS:
        must_be(step, directory)
    return state


def must_be(step: Step, directory: str) -> None:
    """Raise StepFailed("file.unmounted") where `directory` is not the one that was there when `step` was planned."""
    found = _inode(directory)
    known = step.baseline.get("directory", found or "any")
    if known in (None, found):  # None: it was to be made
        return
    how = "is not the directory that was there when this was planned" if found else "is not there"
    raise StepFailed(
        "file.unmounted", f"{directory} {how}, so nobody knows what lies in it: its file system may not be mounted.",
        hints=(f"Mount what belongs at {directory} first.",),
    )  # fmt: skip


def _inode(directory: str) -> int | None:
    try:
        return os.stat(directory).st_ino
    except (FileNotFoundError, NotADirectoryError):
        return None
