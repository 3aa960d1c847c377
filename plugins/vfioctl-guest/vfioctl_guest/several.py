"""One verb about several new guests, each an operation of its own: what one fails at is said, and the others stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from vfioctl.plugin import Message, Refused, Result, VfioctlError, failed
from vfioctl_guest.names import NOTHING_CHANGED, check_new

if TYPE_CHECKING:
    from typing import Any

FAILED, INTERRUPTED = 1, 130  # exit statuses: where something failed while the rest was done, and after ^C


def numbered(name: str, count: int, single: tuple[str, ...]) -> tuple[str, ...]:
    """The names of `count` guests; `single` are the options given that only one guest can have.

    Raises Refused("guest.bad_name", "guest.count").
    """
    if single:
        said = f"{single[0]} is for one guest, and {count} are to be made."
        hint = f"Leave {single[0]} out, or make each by itself."
        raise Refused("guest.count", said, state=NOTHING_CHANGED, hints=(hint,))
    names = tuple(f"{name}-{number}" for number in range(1, count + 1))
    check_new(names[-1])
    return names


def several(names: tuple[str, ...], make: Callable[[str], Result]) -> Result:
    """What became of each, in its data as `guests`. The exit status is that of all, or 1 where they differ."""
    done = dict(_each(names, make))
    statuses = {one.exit_status for one in done.values()}
    return Result(
        data={"guests": [_row(name, done.get(name)) for name in names]},
        messages=tuple(said for one in done.values() for said in one.messages),
        errors=tuple(error for one in done.values() for error in one.errors),
        exit_status=next(iter(statuses)) if len(statuses) == 1 else INTERRUPTED if INTERRUPTED in statuses else FAILED,
    )  # fmt: skip


def _row(name: str, one: Result | None) -> dict[str, Any]:
    return {"name": name, "made": False} if one is None else {**one.data, "name": name, "made": not one.exit_status}


def _each(names: tuple[str, ...], make: Callable[[str], Result]) -> Iterator[tuple[str, Result]]:
    """Until all are made, or somebody interrupts it: what is made by then stays."""
    for name in names:
        result = _tried(name, make)
        yield name, result
        if result.exit_status == INTERRUPTED:
            return


def _tried(name: str, make: Callable[[str], Result]) -> Result:
    try:
        return make(name)
    except VfioctlError as error:
        return failed("", error)
    except KeyboardInterrupt:
        said = Message(f"Interrupted before {name} was made; those before it stay.", "warning")
        return Result(messages=(said,), exit_status=INTERRUPTED)
