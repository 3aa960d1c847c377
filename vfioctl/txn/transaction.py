"""One transaction: its journal, what it holds in the ledger, and what runs its steps. Knows no operation.

Begun once and durably, reopened by whoever goes on with it; it ends when nothing is left to undo.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused
from vfioctl.txn import generation
from vfioctl.txn.clock import Deadline, Stopwatch
from vfioctl.txn.engine import Engine, Failure, Turn, held
from vfioctl.txn.journal import Journal, Standing, quiet
from vfioctl.txn.plan import Action
from vfioctl.txn.resources import Ledger

if TYPE_CHECKING:
    from types import TracebackType

    from vfioctl.txn.journal import Moment, Story
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.plan import Plan, ReturnItem

LEAVE_SECONDS = 20.0


class Transaction:
    """The transaction of `plan`; the caller holds its lock, whose descriptor the programs of `machine` inherit.

    `turn` holds what one step locks (resources.turns); without it the caller has the locks of the whole plan.
    """

    def __init__(
        self, machine: Machine, plan: Plan, *, watch: Stopwatch | None = None, stop: Callable[[], bool] = bool,
        turn: Turn = held, observe: Callable[[Moment], None] = quiet,
    ) -> None:
        self.plan = plan
        self.paths = machine.paths
        self.turn = turn
        self.ledger = Ledger(machine.paths)
        self.journal = Journal(machine.paths, plan.key, observe=observe)
        self.engine = Engine(machine, self.journal, self.ledger, watch, stop, turn=turn)

    def begin(self, boot_id: str, marks: Callable[[], object] = bool, unmark: Callable[[], object] = bool) -> None:
        """The one durable commit: the plan with its whole way back, its holders, and last the operation's `marks`.

        Nothing has been done yet. Raises Refused, and nothing of it stays: "plan.malformed" for a plan that would not
        be obeyed when it is read again, "resource.conflict", "journal.unwritable". `unmark` takes the marks back.
        """
        from vfioctl.txn import judge  # who only goes on with one does without it

        if wrong := judge.problem_of(self.plan, self.plan.key):
            raise Refused("plan.malformed", f"Its plan could not be read again: {wrong}.", state="Nothing was changed.")
        try:
            self.journal.begin(self.plan, boot_id)
            generation.bump(self.paths)
            self.ledger.join_all(self.plan.changes, self.plan.key, self.plan.subject)
            marks()
        except Refused:
            self.forget(unmark)
            raise
        except OSError as error:
            self._give_up(unmark)
            why = f"The journal cannot be written: {error}."
            raise Refused("journal.unwritable", why, state="Nothing was changed.") from error

    def _give_up(self, unmark: Callable[[], object]) -> None:
        with suppress(OSError):  # what cannot be removed from a file system that is read-only is not there either
            self.forget(unmark)
        with suppress(OSError):
            self.journal.end()

    def reopen(self, *standing: Standing, lenient: bool = True) -> Transaction:
        """The same, open to go on, with what it does from now on; see Journal.reopen for `lenient`."""
        self.journal.reopen(lenient=lenient)
        for one in standing:
            self.journal.standing(one)
        return self

    def apply(self, *, deadline: Deadline) -> Failure | None:
        """Run the steps; the first failure ends it and is returned, with nothing undone yet."""
        return self.engine.apply(self.plan, deadline=deadline)

    def hold(self) -> None:
        """Say that everything is done, and stays so until the way back. Raises OSError where it cannot be written."""
        self.journal.standing(Standing.HELD)
        generation.bump(self.paths)

    def undo(self, begun: tuple[str, ...], *, deadline: Deadline) -> tuple[Failure, ...]:
        """Undo what was begun, in reverse, whatever fails meanwhile; the journal says already that it is undone."""
        return self.engine.undo(self.plan, begun, self.plan.key, deadline=deadline)

    def give_back(self, items: tuple[ReturnItem, ...], *, deadline: Deadline) -> tuple[Failure, ...]:
        """Run pieces of the way back. Raises Busy when one does not get its turn."""
        return self.engine.give_back(self.plan, items, self.plan.key, deadline=deadline)

    def leave_all(self) -> None:
        """Hold nothing any more, each resource in its turn: others may leave it just now. Raises Busy."""
        deadline = Deadline(LEAVE_SECONDS)
        for step in self.plan.changes:
            if self.ledger.is_held(step, self.plan.key):
                with self.turn(step, deadline):
                    self.ledger.leave(step, self.plan.key)

    def forget(self, unmark: Callable[[], object] = bool) -> None:
        """It is over: what it still holds goes, then the operation's marks by `unmark`, and the journal last.

        What is held is left as it is found: the caller has the locks of the plan, or has called `leave_all`.
        """
        with suppress(OSError):
            for step in self.plan.changes:
                self.ledger.leave(step, self.plan.key)
        unmark()
        self.journal.end()
        with suppress(OSError):
            generation.bump(self.paths)
            self._drop_blobs()

    def _drop_blobs(self) -> None:
        """Remove the content that the plan names. One that a crash leaves behind is swept away by a recovery."""
        if os.path.isdir(self.paths.blobs):  # few plans name any
            from vfioctl.txn import blobs

            blobs.drop_of(self.paths, self.plan)

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.journal.close()


def begun(story: Story | None) -> tuple[str, ...]:
    """The ids of the steps that were begun, in order, as the journal tells."""
    return story.begun(Action.APPLY) if story else ()
