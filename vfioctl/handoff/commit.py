"""The one durable commit of a hand-off, and its end: journal, holders and markers come and go together."""

from __future__ import annotations

from contextlib import suppress

from vfioctl.compose import Composition
from vfioctl.errors import Refused
from vfioctl.handoff import armed, markers
from vfioctl.host.stuck import drop_ended
from vfioctl.txn import generation
from vfioctl.txn.clock import Deadline
from vfioctl.txn.engine import Turn
from vfioctl.txn.journal import Journal
from vfioctl.txn.plan import Plan
from vfioctl.txn.resources import Ledger

LEAVE_SECONDS = 20.0


def commit(composition: Composition, plan: Plan, journal: Journal, ledger: Ledger, boot_id: str) -> None:
    """The one durable commit: plan and whole return, holders, the rendered undo, and last the shim's markers.

    Raises Refused when it cannot be written (disk full, read-only), or would not be obeyed when it is read: nothing was
    touched, and nothing of it stays.
    """
    from vfioctl.txn import judge  # who only ends a hand-off does without it

    if wrong := judge.problem_of(plan, plan.uuid):
        raise Refused(
            "plan.malformed", f"{plan.guest} was not started: its plan could not be read again: {wrong}.",
            state="Nothing was changed.", hints=("See which plugins there are with: vfioctl plugins list",),
        )  # fmt: skip
    try:
        journal.begin(plan, boot_id)
        generation.bump(composition.paths)
        ledger.join_all(plan.changes, plan.uuid, plan.guest)
        markers.write(composition.paths, plan, armed=str(armed.by_caller(composition.paths)))
    except Refused:
        forget(composition, plan, journal, ledger)
        raise
    except OSError as error:
        with suppress(OSError):  # what cannot be removed from a file system that is read-only is not there either
            forget(composition, plan, journal, ledger)
        with suppress(OSError):
            journal.end()
        raise Refused(
            "journal.unwritable", f"{plan.guest} was not started: the journal cannot be written: {error}.",
            state="Nothing was changed.", hints=("Free space or make it writable, then start the guest again.",),
        ) from error  # fmt: skip


def leave_all(plan: Plan, ledger: Ledger, turn: Turn) -> None:
    """Hold nothing of `plan` any more, each resource in its turn: others may leave it just now. Raises Busy."""
    deadline = Deadline(LEAVE_SECONDS)
    for step in plan.changes:
        if ledger.is_held(step, plan.uuid):
            with turn(step, deadline):
                ledger.leave(step, plan.uuid)


def forget(composition: Composition, plan: Plan, journal: Journal, ledger: Ledger) -> None:
    """The hand-off is over and everything is as it was: holders, markers and journal go, the journal last.

    What is still held is left as it is found: the caller has the locks of the plan, or has called `leave_all`.
    """
    with suppress(OSError):
        for step in plan.changes:
            ledger.leave(step, plan.uuid)
        drop_ended(composition.paths, plan.devices)
    markers.clear_of(composition.paths, plan)
    journal.end()
    with suppress(OSError):
        generation.bump(composition.paths)
