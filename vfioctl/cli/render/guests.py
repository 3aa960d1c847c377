"""`vfioctl list`: one row a guest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.tables import Column, moment, table, words

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = (Column("guest", 16), Column("state", 10), Column("devices", 13), Column("last"))


def view(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The table, or how to get a first row."""
    if data["guests"]:
        yield table(COLUMNS, (_row(guest) for guest in data["guests"]))
        yield from (line for guest in data["guests"] for line in lacks(guest))
    else:
        yield "No guest is managed. Begin with: vfioctl enable GUEST"


def lacks(guest: Mapping[str, Any]) -> Iterator[str]:
    """What the guest lacks until it can start, with what helps."""
    for one in guest["lacks"] or ():
        yield f"{guest['guest']} cannot start yet: {one['message']}"
        if one["hint"]:
            yield f"  {one['hint']}"


def _row(guest: Mapping[str, Any]) -> tuple[object, ...]:
    return (guest["guest"], guest["state"], _devices(guest), outcome(guest["last"]))


def _devices(guest: Mapping[str, Any]) -> str:
    """What it has while it runs, else what it gets."""
    if guest["process"] and guest["given"] is False:
        return "given none"
    return words(guest["has"] or guest["gets"])


def outcome(last: Mapping[str, Any] | None) -> str:
    """How a last hand-off ended, in a few words."""
    if last is None:
        return "-"
    end = "done" if last["ok"] else f"failed [{last['code']}]"
    return f"{last['event']} {end}, {moment(last['when'])}"
