"""`vfioctl history [ID]`: past hand-offs, or one and where its time went. Works without root where it may read."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.types import MANAGED, RECORD

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Message, Result
    from vfioctl.txn.history import HandOff, Records


@click.command()
@click.argument("hand_off", type=RECORD, metavar="[ID]", required=False)
@click.option("--guest", type=MANAGED, help="Only those of this guest.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Show at most N.")
@click.pass_obj
def command(app: App, hand_off: str | None, guest: str | None, limit: int) -> Result:
    """List past hand-offs, or show one and where its time went.

    With an ID, the beginning of one, or `last`, the steps of that hand-off are shown as a waterfall: one bar each,
    placed at the time when it began. Starts that were refused are on record too.
    """
    from vfioctl.cli.lookup import must_be_known, record_id
    from vfioctl.cli.result import Result
    from vfioctl.txn import history

    paths = app.composition.paths
    try:
        if hand_off:
            return Result(data={"hand_off": _row(history.read(paths, record_id(paths, hand_off)))})
        records = history.read_all(paths)
    except PermissionError:
        return Result(data={"hand_offs": []}, messages=(_hidden(),))
    if guest is not None:
        must_be_known(paths, guest)
    chosen = [item for item in records.hand_offs if guest in (None, item.guest)][:limit]
    return Result(data={"hand_offs": [_row(item) for item in chosen]}, messages=_damaged(records))


def _row(item: HandOff) -> dict[str, Any]:
    return {**asdict(item), "outcome": item.outcome}


def _hidden() -> Message:
    from vfioctl.cli.result import Message

    return Message("The history could not be read without root.", "warning", "history.unreadable")


def _damaged(records: Records) -> tuple[Message, ...]:
    from vfioctl.cli.result import Message

    said = (f"The record {name} cannot be read." for name in records.damaged)
    return tuple(Message(text, "warning", "history.damaged") for text in said)
