"""Stops a hand-off that a process works on now; what that has not undone itself is left to `recover`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from vfioctl.actions import worker as workers
from vfioctl.actions.facts import running
from vfioctl.errors import DeadlineExceeded, VfioctlError
from vfioctl.host.processes import arguments
from vfioctl.limits import Limits
from vfioctl.result import Message
from vfioctl.txn.journal import read_both

if TYPE_CHECKING:
    from vfioctl.paths import Paths


def stop(paths: Paths, uuid: str) -> Iterator[Message]:
    """End the process that works on the guest `uuid`. Raises DeadlineExceeded("recover.deadline")."""
    worker = workers.of(paths, uuid)
    if worker is None:
        return
    seconds = _patience(paths, uuid)
    try:
        ended = worker.end(seconds)
    finally:
        worker.close()
    if ended == "goes on":
        raise _not_ended(f"Process {worker.pid}, which does more than this, has not stopped it within {seconds:g} s.")
    if ended == "stays":
        raise _not_ended(
            f"Process {worker.pid} does not end, not even by SIGKILL: it waits in the kernel.",
            "When it has ended: vfioctl recover; if it never does, only a reboot helps.",
        )
    if ended == "killed":
        text = f"Process {worker.pid} did not stop within {seconds:g} s and was killed."
        yield Message(text, "warning", "recover.killed")


def _not_ended(message: str, *hints: str) -> DeadlineExceeded:
    return DeadlineExceeded(
        "recover.deadline", message, state="What it has done is not undone yet.",
        hints=("See what it waits for with: vfioctl status", *hints),
    )  # fmt: skip


def _patience(paths: Paths, uuid: str) -> float:
    """Seconds in which a hand-off that is asked to stop has passed every deadline of its plan."""
    try:
        story = read_both(paths, uuid)
    except VfioctlError:
        story = None
    budget = story.plan.limits if story else Limits()
    return budget.prepare + budget.undo


def at_work(paths: Paths, guest: str | None) -> Iterator[str]:
    """The UUIDs of hand-offs of `guest` that a process works on before there is a journal: its hook makes the plan."""
    for item in running(paths):
        words = map(os.fsdecode, arguments(paths, (item.pid,)).get(item.pid, ()))
        if guest == item.uuid or (guest and ("hook", guest) in pairwise(words)):
            yield item.uuid
