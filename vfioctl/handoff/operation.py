"""The hand-off as an operation of the engine: its notes, its plans of earlier schemas, its lock, how it is ended."""

from __future__ import annotations

from collections.abc import Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.events.libvirt import name_problem
from vfioctl.frozen import asdict
from vfioctl.handoff.notes import HAND_OFF, guest_lock
from vfioctl.kinds.common import ADDRESS
from vfioctl.txn.plan import Unfinished
from vfioctl.txn.shape import TEXT, Shape, is_text, many, shown, table

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.files import Lock
    from vfioctl.paths import Paths
    from vfioctl.txn.plan import Plan
    from vfioctl.txn.settling import Case, Settling

NOTES = Shape(
    devices=many(ADDRESS), identities=table(ADDRESS, TEXT), drivers=table(TEXT, TEXT),
    parameters=table(TEXT, table(TEXT, TEXT)),
)  # fmt: skip
SHOWN_SCHEMA = 2  # of the plan as `vfioctl plan --format json` shows it
# The fields of schema 2, in their order, and what those of a plan are called that have another name by now.
FORMER = (
    "guest", "uuid", "devices", "steps", "running", "returns", "way_back", "back", "findings", "budget", "identities",
    "drivers", "parameters", "operation",
)  # fmt: skip
RENAMED = {
    "guest": "subject", "uuid": "key", "running": "held", "back": "proof", "budget": "limits", "operation": "id",
}  # fmt: skip


def problem(plan: Plan) -> str:
    """Why the plan of a hand-off is not to be obeyed, as far as it is its own affair; "" when it may be."""
    if not is_text(plan.subject):
        return f"its guest is {shown(plan.subject)}, not a name"
    if said := name_problem(plan.subject):
        return f"its guest cannot be called {shown(plan.subject)}: {said}"
    return NOTES.problem(plan.notes)


def upgraded(data: Mapping[str, Any]) -> dict[str, Any]:
    """A plan of schema 1 or 2, which only hand-offs have, as schema 3 has it. Raises KeyError."""
    now = {RENAMED.get(name, name): data[name] for name in FORMER if name in data and name not in NOTES.forms}
    noted = {name: data.get(name, {}) for name in NOTES.forms} | {"devices": data["devices"]}
    return {"operation": HAND_OFF, **now, "unfinished": Unfinished.RETURN, "notes": noted}


def lock(paths: Paths, key: str) -> Lock:
    """The lock of the guest: whoever finds it taken reads that the guest is being handed off."""
    return guest_lock(paths, key)


def settle(case: Case) -> Settling:
    """How a hand-off is ended without its process."""
    from vfioctl.handoff.settle import Settle  # who only judges a plan does without it

    return Settle(case)


def as_shown(plan: Plan) -> dict[str, Any]:
    """The plan for users: its JSON keys are public, whatever schema the journal has."""
    data = asdict(plan)
    known = {**data, **data["notes"]}
    return {"schema": SHOWN_SCHEMA, **{name: known[RENAMED.get(name, name)] for name in FORMER}}
