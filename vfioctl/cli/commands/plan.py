"""`vfioctl plan GUEST`: what a start would do and how it returns. Works without root, changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.types import GUEST, xml_option

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.given import Given
    from vfioctl.cli.result import Message, Result
    from vfioctl.findings import Finding
    from vfioctl.handoff.ask import Asked
    from vfioctl.txn.plan import Plan

NO_PLAN: dict[str, Any] = {"plan": None, "back": [], "point_of_no_return": None, "blocked": False, "managed": True}


@click.command()
@click.argument("guest", type=GUEST)
@xml_option
@click.option("--end-session", is_flag=True, help="Plan as if the guest file said session = \"end\".")
@click.pass_obj
def command(app: App, guest: str, xml: str | None, end_session: bool) -> Result:  # noqa: FBT001 -- click's signature
    """Show what a start would do and how it returns; nothing is done.

    Each step is shown with its reason, how far its undo restores what was, until when it is undone, and its deadline.
    Exit status 3 when a start would be refused; everything that speaks against it is shown at once. Of a guest that
    runs it shows since when it has its devices, and how they return when it stops.
    """
    from vfioctl.cli import given
    from vfioctl.cli.domains import find
    from vfioctl.cli.facts import guest_config, plugin_infos
    from vfioctl.cli.result import Error, refused
    from vfioctl.cli.visible import VisibleLedger
    from vfioctl.handoff.ask import ask

    domain = find(app, guest, xml).domain
    if runs := given.of(app, domain):
        return _of_a_running_guest(app, runs)
    plugins = plugin_infos(app)
    config = guest_config(app, guest, plugins, {"session": "end"} if end_session else {})
    ledger = VisibleLedger(app.composition.paths)
    asked = ask(app.composition, domain, config, tuple(plugins.values()), ledger=None if app.is_root else ledger)
    blocks = (Error(item.code, item.message, hints=_hints(item)) for item in asked.plan.blocks)
    data = {**_data(app, asked.plan), "running": None}
    messages = _messages(app, asked, hidden=ledger.hidden)
    return refused(data, tuple(blocks)).saying(*messages)


def _of_a_running_guest(app: App, runs: Given) -> Result:
    """Nothing is planned for a guest that runs: what it was given is shown, and how that returns."""
    from vfioctl.cli.firing import warnings
    from vfioctl.cli.result import Message, Result

    shown = _data(app, runs.plan) if runs.plan else NO_PLAN
    silent = warnings(app)
    result = Result(data={**shown, "running": runs.shown()}).saying(*runs.messages(), *silent)
    if not silent or runs.plan is None:
        return result
    text = "While the hook does not fire, nothing brings the devices home when the guest stops."
    return result.saying(Message(text, "warning", "guest.no_return", "Bring them home then with: vfioctl recover"))


def _hints(finding: Finding) -> tuple[str, ...]:
    return (finding.hint,) if finding.hint else ()


def _data(app: App, plan: Plan) -> dict[str, Any]:
    from vfioctl.handoff.ask import is_managed
    from vfioctl.handoff.operation import as_shown
    from vfioctl.kinds.conditions import describe

    return {
        "plan": as_shown(plan), "back": [describe(condition) for condition in plan.proof],
        "point_of_no_return": plan.point_of_no_return, "blocked": bool(plan.blocks),
        "managed": is_managed(app.composition, plan.subject),
    }  # fmt: skip


def _messages(app: App, asked: Asked, *, hidden: bool) -> tuple[Message, ...]:
    from vfioctl.cli.commands.enable import no_device
    from vfioctl.cli.facts import unseen_messages
    from vfioctl.cli.firing import warnings
    from vfioctl.cli.result import Message
    from vfioctl.handoff.ask import is_managed
    from vfioctl.handoff.notes import devices
    from vfioctl.shell import argument

    plan = asked.plan
    said = [] if app.is_root else list(unseen_messages(asked.request.host))  # for root each of them blocks
    if hidden:
        text = "What other guests hold could not be read without root."
        said.append(Message(text, "warning", "ledger.unreadable"))
    if not devices(plan):
        said.append(no_device(plan.subject))
    said += warnings(app)
    if not is_managed(app.composition, plan.subject):
        hint = f"Let vfioctl manage it with: vfioctl enable {argument(plan.subject)}"
        said.append(Message(f"{plan.subject} is not managed yet: a start does nothing of this.", hint=hint))
    return tuple(said)
