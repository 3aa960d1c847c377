"""Ends the operations whose process is gone: takes the lock of each, and asks its operation how; see settling.py."""

from __future__ import annotations

import time
from collections.abc import Callable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused
from vfioctl.log import Log
from vfioctl.txn import operation
from vfioctl.txn.journal import Standing, read_both
from vfioctl.txn.resources import operation_lock
from vfioctl.txn.runner import forget, name_of
from vfioctl.txn.settling import Case

if TYPE_CHECKING:
    from vfioctl.txn.clock import Stopwatch
    from vfioctl.txn.journal import Story
    from vfioctl.txn.node import Node

QUEUED_SECONDS = 30.0  # in which the process of an operation that waits for it has begun
NOTHING = "Nothing was left to do."


def settle(
    node: Node, key: str, *, log: Log | None = None, watch: Stopwatch | None = None, patience: float = 0.0,
    unless: Callable[[], bool] = bool, hurried: bool = False, spare: bool = False,
    given_up: bool = False,
) -> str:
    """End the operation `key`; returns one sentence about what was done.

    `patience`: seconds to wait for a process that works on it; `unless` is asked after that whether it is settled by
    now. `hurried`, `spare` and `given_up`: see Case. Raises Busy while a process works on it or has what it needs,
    Refused("operation.queued", or what its sort refuses), and VfioctlError with what is left. The journal is kept then.
    """
    lock = operation.lock_of(node.paths, key)
    if lock is None:
        return NOTHING
    lock.acquire(deadline=patience)
    with lock:
        story = read_both(node.paths, key)
        if story is None or unless():
            return NOTHING
        if story.standing is Standing.QUEUED:
            return _drop(node, story)
        about = log or Log(node.paths, stderr=None)
        case = Case(node, story, (lock.fd,), about, watch, hurried=hurried, spare=spare, given_up=given_up)
        settling = operation.settling(case)
        said = settling.end()
    return settling.afterwards(said)


def drop(node: Node, key: str) -> None:
    """Forget an operation whose process has not begun yet. Raises Busy, Refused("operation.begun")."""
    lock = operation_lock(node.paths, key)
    lock.acquire()
    with lock:
        story = read_both(node.paths, key)
        if story is not None and story.standing is not Standing.QUEUED:
            raise Refused("operation.begun", f"{name_of(story.plan)} has begun.", state="Nothing was changed.")
        if story is not None:
            forget(node, story.plan)


def is_expected(node: Node, story: Story) -> bool:
    """Whether the process of an operation that waits for it may still come."""
    rebooted = story.boot_id != node.machine().host().boot_id()
    return not rebooted and 0 <= time.time() - story.started < QUEUED_SECONDS


def _drop(node: Node, story: Story) -> str:
    """Nothing of it has begun; its process gets some time to come."""
    if is_expected(node, story):
        raise Refused(
            "operation.queued", f"{name_of(story.plan)} has not begun yet; its process is about to.",
            state="Nothing was changed.", hints=(f"See: vfioctl operation show {story.plan.key}",),
        )  # fmt: skip
    forget(node, story.plan)
    return f"{name_of(story.plan)} never began; it is dropped."
