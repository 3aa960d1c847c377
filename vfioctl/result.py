"""What a command gives back, as one value: rendered once, as text or as the versioned JSON envelope. Prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vfioctl.errors import EXIT_FAILED, EXIT_REFUSED, VfioctlError
from vfioctl.frozen import field, frozen, replace

if TYPE_CHECKING:
    from vfioctl.sessions import Session

ENVELOPE_VERSION = 1
OK = 0


@frozen
class Message:
    """A sentence beside the data; `level` is info or warning, `hint` the next command."""

    text: str
    level: str = "info"
    code: str = ""
    hint: str = ""


@frozen
class Error:
    """A failure as it is shown: the same object for the terminal and for JSON."""

    code: str
    message: str
    state: str = ""
    hints: tuple[str, ...] = ()


@frozen
class Table:
    """A table in a view: the heads of its columns, in small letters, and the cells of each row. The door draws it."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def listing(data: Mapping[str, Any], key: str, heads: Sequence[str], cells: Callable[[Any], Sequence[str]]) -> Table:
    """The rows `key` of `data` as a table, with their nodes where several were asked; `cells` gives those of a row."""
    several = len(data.get("nodes", ())) > 1
    rows = (((row["node"],) if several else (), cells(row)) for row in data[key])
    return Table((*(("node",) if several else ()), *heads), tuple((*node, *rest) for node, rest in rows))


def planned_steps(data: Mapping[str, Any]) -> Iterator[str]:
    """What a dry run would do: a line for each of the `steps` of `data`, with kind, what it is about, and why."""
    yield "Would be done, in this order:"
    widest = max((len(step["kind"]) for step in data["steps"]), default=0)
    yield from (f"  {step['kind']:<{widest}}  {step['resource'] or '-'}: {step['reason']}" for step in data["steps"])


@frozen
class Result:
    """The outcome of one command. `data` holds JSON values only; the text view is made from nothing else.

    `command` is filled in by whoever ran it. `session` is what a terminal does next; no other door gets one.
    """

    command: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    errors: tuple[Error, ...] = ()
    exit_status: int = OK
    session: Session | None = None

    def saying(self, *messages: Message) -> Result:
        """The same with `messages` behind its own."""
        return replace(self, messages=(*self.messages, *messages))

    def envelope(self) -> dict[str, Any]:
        """The JSON envelope; its keys are public and pinned by tests."""
        return {
            "version": ENVELOPE_VERSION,
            "command": self.command,
            "data": dict(self.data),
            "messages": [_message(message) for message in self.messages],
            "errors": [_error(error) for error in self.errors],
        }


def _message(message: Message) -> dict[str, Any]:
    return {"level": message.level, "text": message.text, "code": message.code, "hint": message.hint}


def _error(error: Error) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "state": error.state, "hints": list(error.hints)}


def failed(command: str, error: VfioctlError) -> Result:
    """The result of a command that ended in `error`."""
    shown = Error(error.code, error.message, error.state, error.hints)
    return Result(command, errors=(shown,), exit_status=error.exit_status)


def refused(data: Mapping[str, Any], errors: tuple[Error, ...]) -> Result:
    """A result whose `errors` block; nothing was touched. Without errors it is a good one."""
    return Result(data=data, errors=errors, exit_status=EXIT_REFUSED if errors else OK)


def incomplete(data: Mapping[str, Any], errors: tuple[Error, ...]) -> Result:
    """A result in which something failed while the rest was done."""
    return Result(data=data, errors=errors, exit_status=EXIT_FAILED if errors else OK)
