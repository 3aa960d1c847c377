"""The moments of an operation as lines for somebody who follows. Reads and prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.txn.follow import how_far
from vfioctl.txn.journal import Standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from vfioctl.actions.caller import Caller
    from vfioctl.txn.journal import Moment


def unheard(_moment: Moment) -> None:
    """Where nobody else observes."""


class Told:
    """Passes the moments of one operation on to `caller`, as they are and as a line each; `also` gets them first.

    A `quiet` one, whose verb says all of it in its result, has no lines.
    """

    def __init__(self, caller: Caller, also: Callable[[Moment], None] = unheard, *, quiet: bool = False) -> None:
        self.caller = caller
        self.also = also
        self.quiet = quiet
        self._began: dict[str, float] = {}
        self._said = ""

    def __call__(self, said: Moment | Standing) -> None:
        if not isinstance(said, Standing):
            self.also(said)
            self.caller.observe(said)
        if self.quiet:
            return
        if (line := self._line(said)) != self._said:  # how far a step is may be said before it has come further
            self._said = line
            self.caller.tell(line)

    def _line(self, said: Moment | Standing) -> str:
        if isinstance(said, Standing):
            return f"  {said}"
        if said.what == "intent":
            self._began[said.step] = said.at
            return f"  {said.action:<5}  {said.step} …"
        if said.what == "progress":
            return f"         {said.step}: {how_far(said.done, said.total, said.unit)}"
        took = said.at - self._began.pop(said.step, said.at)
        note = f"  {said.note}" if said.note else ""
        return f"  {said.action:<5}  {said.step:<44} {took:6.2f} s  {said.what}{note}"
