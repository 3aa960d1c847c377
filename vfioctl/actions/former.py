"""The hand-off of a guest that is still open while its QEMU does not run: a start ends it first. Looks only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vfioctl.actions.records import Records
from vfioctl.frozen import frozen
from vfioctl.handoff.way_back import left_of
from vfioctl.result import Message
from vfioctl.shell import argument
from vfioctl.txn.resources import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vfioctl.actions.caller import Call
    from vfioctl.events.model import Domain
    from vfioctl.txn.plan import Plan


@frozen
class Former:
    """`row` is the hand-off as `status` has it; `plan` has what is left of the way back, None where all is home."""

    row: Mapping[str, Any]
    plan: Plan | None

    def message(self) -> Message:
        guest = self.row["guest"]
        if not self.row["unfinished"]:
            by = f" (process {self.row['process']})" if self.row["process"] else ""
            said = f"A hand-off of {guest} is under way{by}: a start waits for its end, and is planned after that."
            return Message(said, hint=f"See: vfioctl status {argument(guest)}")
        said = f"The last hand-off of {guest} is unfinished: a start finishes it first, and is planned after that."
        return Message(said, "warning", "guest.unfinished", f"Finish it with: vfioctl recover {argument(guest)}")


def of(call: Call, domain: Domain) -> Former | None:
    """What is open of the guest of `domain`, or of another one of its name; None where nothing is, or it is hidden."""
    host = call.composition.machine().host()
    records = Records(call.composition.paths, host)
    for row in records.hand_offs():
        if row["qemu"] is None and (row["uuid"] == domain.uuid or row["guest"] == domain.name):
            story = next(one for one in records.stories if one.plan.key == row["uuid"])
            home = row["undone_by_sh"] or story.boot_id != host.boot_id()
            return Former(row, None if home else left_of(story, Ledger(records.paths)))
    return None
