"""What else is open while a guest is started or comes home: its last hand-off, those of others, operations on it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl.compose import Composition
from vfioctl.errors import Refused, VfioctlError
from vfioctl.handoff import markers, notes
from vfioctl.handoff.notes import guest_lock
from vfioctl.log import Log
from vfioctl.paths import Paths
from vfioctl.txn.engine import pending
from vfioctl.txn.journal import Standing, Story, is_settled, open_uuids, read_both
from vfioctl.txn.plan import Action, Part, Plan
from vfioctl.txn.resources import domain, resource_lock
from vfioctl.wait import until

MOMENT = 2.0  # in which a process that has locked the guest's domain says what for, or lets go of it


def settle_former(composition: Composition, guest: str, uuid: str, log: Log, *, fds: tuple[int, ...] = ()) -> None:
    """Reconcile what an earlier run of this guest, or another guest of the same name, left open.

    The caller holds the lock of `uuid`, whose descriptor is in `fds`. Raises Refused("guest.unfinished") when it cannot
    be finished now.
    """
    former = markers.uuid_of(composition.paths, guest)
    if former and former != uuid:
        _refuse_damaged(composition.paths, guest, former)
        _finish_other(composition, former, guest, log)
    story = _refuse_damaged(composition.paths, guest, uuid)
    if story is None:
        return
    from vfioctl.txn import operation  # a start that finds nothing unfinished does without it
    from vfioctl.txn.settling import Case

    try:
        operation.settling(Case(composition, story, fds, log, hurried=True)).end()
    except VfioctlError as error:
        raise _unfinished(guest, str(error)) from error
    if read_both(composition.paths, uuid):
        raise _unfinished(guest, "A process still has its devices open.")


def _refuse_damaged(paths: Paths, guest: str, uuid: str) -> Story | None:
    """The story of `uuid`. Raises Refused with the way out where it cannot be read."""
    try:
        return read_both(paths, uuid)
    except VfioctlError as error:
        from vfioctl.handoff import damaged  # few hosts have one

        raise Refused(
            error.code, f"{guest} was not started: its last hand-off cannot be finished. {error.message}",
            state="Nothing was changed.", hints=damaged.way_out(paths, uuid),
        ) from error  # fmt: skip


def _finish_other(composition: Composition, former: str, guest: str, log: Log) -> None:
    from vfioctl.txn import recover

    try:
        recover.settle(composition, former, log=log, hurried=True)
    except VfioctlError as error:
        raise _unfinished(guest, str(error)) from error
    if read_both(composition.paths, former):
        raise _unfinished(guest, f"Another guest of this name ({former}) still runs with its devices.")
    markers.clear(composition.paths, guest)


def _unfinished(guest: str, why: str) -> Refused:
    return Refused(
        "guest.unfinished", f"{guest} was not started: its last hand-off is not finished. {why}",
        state="Nothing more was changed.", hints=("Finish it with: vfioctl recover", "See: vfioctl status"),
    )  # fmt: skip


def unsettled(paths: Paths, plan: Plan, log: Log | None = None) -> tuple[str, ...]:
    """The UUIDs of other hand-offs that are under way, or from before a restart, and concern a resource of `plan`.

    For a caller that holds those resources' locks: nobody works on them at this moment. What cannot be read is said in
    `log`. Raises Refused where such a one holds a device of `plan`, or another operation has the guest's domain.
    """
    _wait_for_domain(paths, plan)
    stories = tuple(_others(paths, plan, log))
    for story in stories:
        _refuse_operation(plan, story)
    return tuple(
        story.plan.key for story in stories
        if not is_settled(paths, story) and set(story.plan.resources) & set(plan.resources)
    )


def returning(paths: Paths, plan: Plan) -> tuple[str, ...]:
    """The UUIDs of other hand-offs that are bringing home a device of `plan`."""
    homeward = (story for story in _others(paths, plan) if story.standing in (Standing.RETURNING, Standing.UNDOING))
    return tuple(story.plan.key for story in homeward if set(notes.devices(story.plan)) & set(notes.devices(plan)))


def on_their_way(paths: Paths, plan: Plan) -> bool:
    """Whether a process is bringing home the devices of another guest at this moment."""
    returning = (story for story in _others(paths, plan) if story.standing is Standing.RETURNING)
    underway = (one for one in returning if pending(one.plan, one.finished(Action.UNDO), frozenset(), Part.HOOK))
    return any(guest_lock(paths, one.plan.key).is_held_elsewhere() for one in underway)


def _others(paths: Paths, plan: Plan, log: Log | None = None) -> Iterator[Story]:
    """The other guests' hand-offs that are open. One that cannot be read stops nobody who needs no device of it."""
    for uuid in open_uuids(paths):
        try:
            story = read_both(paths, uuid) if uuid != plan.key else None
        except VfioctlError as error:
            from vfioctl.handoff import damaged  # few hosts have one

            damaged.refuse_needed(paths, plan, uuid, error)
            if log:
                hints = " ".join(damaged.way_out(paths, uuid))
                log.warning(f"{plan.subject} starts all the same: {error.message} {hints}", uuid=uuid, code=error.code)
            continue
        if story:
            yield story


# Operations on the guest's domain. Each side takes its own lock before it looks for the other; see txn/locks.py.


def _wait_for_domain(paths: Paths, plan: Plan) -> None:
    """A process that has just locked the guest's domain lets go of it, unless it came before us: then it says why."""
    lock = resource_lock(paths, domain(plan.key))
    if not os.path.exists(lock.path):  # nobody has had it in this boot
        return
    if not until(lambda: not lock.is_held_elsewhere() or _is_explained(paths, plan), MOMENT):
        raise _worked_on(plan, "a process that says no more has its domain")


def _is_explained(paths: Paths, plan: Plan) -> bool:
    """Whether an open operation has the guest's domain."""
    return any(_has_domain(story, plan) for story in _others(paths, plan))


def _has_domain(story: Story, plan: Plan) -> bool:
    return story.plan.operation != notes.HAND_OFF and domain(plan.key) in story.plan.resources


def _refuse_operation(plan: Plan, story: Story) -> None:
    """Raise Refused where the operation `story` has the guest's domain, and does not start the guest itself."""
    if _has_domain(story, plan) and not story.plan.expects(domain(plan.key)):
        from vfioctl.txn.runner import name_of  # only for who is refused

        why = f"{name_of(story.plan)} works on it (it stands at {story.standing})"
        raise _worked_on(plan, why, f"Follow it with: vfioctl operation follow {story.plan.key}")


def _worked_on(plan: Plan, why: str, *hints: str) -> Refused:
    return Refused(
        "guest.in_operation", f"{plan.subject} was not started: {why}.", state="Nothing was changed.",
        hints=(*hints, "Finish what was interrupted with: vfioctl recover"),
    )  # fmt: skip
