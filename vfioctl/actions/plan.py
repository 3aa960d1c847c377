"""What a start would do and how it returns; of a guest that has its devices, how these return. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vfioctl.actions import former, given
from vfioctl.actions.domains import find
from vfioctl.actions.enable_words import no_device
from vfioctl.actions.facts import guest_config, plugin_infos, unseen_messages
from vfioctl.actions.firing import warnings
from vfioctl.actions.visible_ledger import VisibleLedger
from vfioctl.handoff.make_plan import is_managed, make_plan
from vfioctl.handoff.notes import devices
from vfioctl.handoff.operation import as_shown
from vfioctl.kinds.conditions import describe
from vfioctl.result import Error, Message, Result, refused
from vfioctl.shell import argument

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.actions.former import Former
    from vfioctl.actions.given import Given
    from vfioctl.findings import Finding
    from vfioctl.handoff.make_plan import Planned
    from vfioctl.txn.plan import Plan

NO_PLAN: dict[str, Any] = {"plan": None, "back": [], "point_of_no_return": None, "blocked": False, "managed": True}


def plan(call: Call, guest: str, xml: str | None = None, *, end_session: bool = False) -> Result:
    """The plan for a start of `guest` now; refused when something blocks it."""
    domain = find(call, guest, xml).domain
    if runs := given.of(call, domain):
        return _of_a_running_guest(call, runs)
    still_open = former.of(call, domain)
    if still_open and still_open.plan:
        return _of_an_open_hand_off(call, still_open, still_open.plan)
    plugins = plugin_infos(call)
    config = guest_config(call, guest, plugins, {"session": "end"} if end_session else {})
    ledger = VisibleLedger(call.composition.paths)
    planned = make_plan(
        call.composition, domain, config, tuple(plugins.values()), ledger=None if call.administers else ledger
    )
    blocks = (Error(item.code, item.message, hints=_hints(item)) for item in planned.plan.blocks)
    data = {**_data(call, planned.plan), "running": None, "hand_off": None}
    said = (still_open.message(),) if still_open else ()
    return refused(data, tuple(blocks)).saying(*said, *_messages(call, planned, hidden=ledger.hidden))


def _of_a_running_guest(call: Call, runs: Given) -> Result:
    """Nothing is planned for a guest that runs: what it was given is shown, and how that returns."""
    shown = _data(call, runs.plan) if runs.plan else NO_PLAN
    silent = warnings(call)
    result = Result(data={**shown, "running": runs.shown(), "hand_off": None}).saying(*runs.messages(), *silent)
    if not silent or runs.plan is None:
        return result
    text = "While the hook does not fire, nothing brings the devices home when the guest stops."
    return result.saying(Message(text, "warning", "guest.no_return", "Bring them home then with: vfioctl recover"))


def _of_an_open_hand_off(call: Call, still_open: Former, plan: Plan) -> Result:
    """A plan would be made from a host that is not as the start finds it: what that does first is shown."""
    data = {**_data(call, plan), "running": None, "hand_off": still_open.row}
    return Result(data=data).saying(still_open.message(), *warnings(call))


def _hints(finding: Finding) -> tuple[str, ...]:
    return (finding.hint,) if finding.hint else ()


def _data(call: Call, plan: Plan) -> dict[str, Any]:

    return {
        "plan": as_shown(plan), "back": [describe(condition) for condition in plan.proof],
        "point_of_no_return": plan.point_of_no_return, "blocked": bool(plan.blocks),
        "managed": is_managed(call.composition, plan.subject),
    }  # fmt: skip


def _messages(call: Call, planned: Planned, *, hidden: bool) -> tuple[Message, ...]:

    plan = planned.plan
    unseen = unseen_messages(planned.request.host, call.caller)
    said = [] if call.administers else list(unseen)  # for root each of them blocks
    if hidden:
        text = "What other guests hold could not be read without root."
        said.append(Message(text, "warning", "ledger.unreadable"))
    if not devices(plan):
        said += no_device(planned.request.domain, planned.request.host.paths)
    said += warnings(call)
    if not is_managed(call.composition, plan.subject):
        hint = f"Let vfioctl manage it with: vfioctl enable {argument(plan.subject)}"
        said.append(Message(f"{plan.subject} is not managed yet: a start does nothing of this.", hint=hint))
    return tuple(said)
