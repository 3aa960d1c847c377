"""The moments of an operation as lines for somebody who follows. Reads and prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.txn.journal import Standing
from vfioctl.txn.pace import Pace, how_far

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vfioctl.actions.caller import Caller
    from vfioctl.txn.journal import Moment

ANY = Exception  # a door's listener may raise what it likes


def unheard(_moment: Moment) -> None:
    """Where nobody else observes."""


class Told:
    """Passes the moments of one operation on to `caller`, as they are and as a line each; `also` gets them first.

    A `quiet` one, whose verb says all of it in its result, has no lines. `fault` is why the caller hears no more: who
    listens may go away, and that is no failure of the operation.
    """

    def __init__(self, caller: Caller, also: Callable[[Moment], None] = unheard, *, quiet: bool = False) -> None:
        self.caller = caller
        self.also = also
        self.quiet = quiet
        self.fault: Exception | None = None
        self._began: dict[str, float] = {}
        self._said = ""
        self._pace = Pace()
        self._far: Moment | None = None  # the last word of a step that is not done

    def __call__(self, said: Moment | Standing) -> None:
        if not isinstance(said, Standing):
            self.also(said)
        if self.fault:
            return
        try:
            self._pass_on(said)
        except ANY as error:
            self.fault = error

    def _pass_on(self, said: Moment | Standing) -> None:
        if not isinstance(said, Standing):
            self.caller.observe(said)
        if self.quiet:
            return
        for line in self._lines(said):
            if line != self._said:  # how far a step is may be said before it has come further
                self._said = line
                self.caller.tell(line)

    def _lines(self, said: Moment | Standing) -> Iterator[str]:
        """Its line; before that of a step that is done the end of its way, which passes too fast to be seen."""
        far = self._far
        if not isinstance(said, Standing) and said.what == "progress":
            if far and (far.step, far.done, far.total) == (said.step, said.done, said.total):
                return
            self._far = said
        elif far and not isinstance(said, Standing) and (said.step, said.what) == (far.step, "done"):
            self._far = None
            if far.done < far.total:
                yield _way(far.step, how_far(far.total, far.total, far.unit))
        yield self._line(said)

    def _line(self, said: Moment | Standing) -> str:
        if isinstance(said, Standing):
            return f"  {said}"
        if said.what == "intent":
            self._began[said.step] = said.at
            return f"  {said.action:<5}  {said.step} …"
        if said.what == "progress":
            rate = self._pace.seen(said.step, said.at, said.done)
            return _way(said.step, how_far(said.done, said.total, said.unit, rate))
        took = said.at - self._began.pop(said.step, said.at)
        note = f"  {said.note}" if said.note else ""
        return f"  {said.action:<5}  {said.step:<44} {took:6.2f} s  {said.what}{note}"


def _way(step: str, far: str) -> str:
    return f"         {step}: {far}"
