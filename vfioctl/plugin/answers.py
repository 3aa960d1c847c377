"""What the nodes that were asked have answered, and the list that comes of it. Asks nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.result import Error, Result, incomplete

T = TypeVar("T")
U = TypeVar("U")


@frozen
class Answer(Generic[T]):
    """What one node has answered, or why it did not; `node` is its name, or its URI where it has none."""

    node: str
    given: T | None = None
    error: VfioctlError | None = None

    @property
    def reason(self) -> dict[str, Any] | None:
        """Why it did not answer, as data."""
        if (error := self.error) is None:
            return None
        return {"code": error.code, "message": error.message, "hints": list(error.hints)}


@frozen
class Answers(Generic[T]):
    """What each node that was asked has answered, in the order of the nodes."""

    each: tuple[Answer[T], ...]

    def __iter__(self) -> Iterator[tuple[str, T]]:
        """Each node that has answered, with what it gave."""
        return ((one.node, one.given) for one in self.each if one.error is None and one.given is not None)

    def then(self, work: Callable[[T], U]) -> Answers[U]:
        """The same nodes with what `work` makes of what each gave: here, where files may be read as well."""
        made = {node: work(given) for node, given in self}
        return Answers(tuple(Answer(one.node, made.get(one.node), one.error) for one in self.each))

    def result(self, key: str, rows: Callable[[T], Iterable[Mapping[str, Any]]]) -> Result:
        """The list of all nodes as `key`: the `rows` of what each gave, with its name as `node`.

        `nodes` says of each whether it answers. Where one does not, the list has the rows of the others, its reason
        is an error of the result, and the exit status 1.
        """
        listed = [{"node": node, **row} for node, given in self for row in rows(given)]
        return incomplete({key: listed, "nodes": [_state(one) for one in self.each]}, self.errors)

    @property
    def errors(self) -> tuple[Error, ...]:
        """Why those did not answer that did not."""
        found = (one.error for one in self.each if one.error)
        return tuple(Error(one.code, one.message, one.state, one.hints) for one in found)


def _state(one: Answer[Any]) -> dict[str, Any]:
    return {"node": one.node, "answers": one.error is None, "error": one.reason}
