"""Holds all that a plan locks. A domain has two locks: one operation has its UUID as its key, others as a resource.

A hook runs the first, and cannot wait. Each side takes its own lock before it looks for the other, so at least one of
them sees the other: an operation that has the domain as a resource waits here, the one of the hook refuses.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Busy, Refused, VfioctlError
from vfioctl.txn.journal import Standing, is_settled, read_both
from vfioctl.txn.resources import DOMAIN, resource_locks
from vfioctl.wait import Backoff

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.journal import Story
    from vfioctl.txn.plan import Plan

# What to do about an operation that is not finished, for whoever has to wait for its end.
BESIDE = ("See what it does with: vfioctl status", "Finish what was interrupted with: vfioctl recover")


@contextmanager
def plan_locks(paths: Paths, plan: Plan, *, deadline: float, beside_ruins: bool = False) -> Iterator[tuple[int, ...]]:
    """Hold the locks of everything that `plan` changes, within `deadline` seconds; yields the descriptors.

    Raises Busy where others have it, or a hook is at work on one of its domains; Refused("operation.beside") where that
    was interrupted, unless `beside_ruins`.
    """
    busy: VfioctlError | None = None
    for left in Backoff(deadline):
        with resource_locks(paths, plan.resources, deadline=left) as fds:
            busy = _at_work(paths, plan) or (None if beside_ruins else _unfinished(paths, plan))
            if busy is None:
                yield fds
                return
    if busy:
        raise busy


def _domains(plan: Plan) -> Iterator[str]:
    """The UUIDs of the domains that `plan` changes."""
    names = (name.removeprefix(DOMAIN) for name in plan.resources if name.startswith(DOMAIN))
    return (uuid for uuid in names if uuid != plan.key)


def _at_work(paths: Paths, plan: Plan) -> VfioctlError | None:
    """What says which process works on a domain of `plan`, on behalf of the operation that has it as its key."""
    for uuid in _domains(plan):
        lock = files.Lock(paths.key_lock(uuid), f"The domain of {plan.subject} is worked on")
        if not os.path.exists(lock.path):
            continue
        try:
            lock.acquire()
        except Busy as error:
            return error
        lock.release()
    return None


def _unfinished(paths: Paths, plan: Plan) -> VfioctlError | None:
    """What says that such an operation goes on without a process at this moment: its detached part is about to come.

    Raised where it was interrupted.
    """
    for story in filter(None, (read_both(paths, uuid) for uuid in _domains(plan))):
        if not is_settled(paths, story):
            error = _beside(plan, story)
            if story.standing is Standing.RETURNING:
                return error
            raise error
    return None


def _beside(plan: Plan, story: Story) -> Refused:
    from vfioctl.txn.runner import name_of

    return Refused(
        "operation.beside",
        f"{name_of(plan)} was refused: {name_of(story.plan)} is not finished, it stands at {story.standing}.",
        state="Nothing was changed.",
        hints=BESIDE,
    )  # fmt: skip
