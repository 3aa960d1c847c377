"""The desktop back from anything. Needs no plan that can be read, no plugin, no configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from vfioctl.actions import undo
from vfioctl.actions.errors import Interrupted
from vfioctl.actions.facts import running
from vfioctl.actions.rescue_intent import Intent, abort_hint, intent_of
from vfioctl.errors import VfioctlError
from vfioctl.handoff.damaged import problem_of
from vfioctl.kinds.systemd import unit_kill
from vfioctl.result import Error, Message, Result, incomplete, refused
from vfioctl.txn.clock import Deadline

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.actions.undo import Undo
    from vfioctl.compose import Composition
    from vfioctl.paths import Paths

UNCONFIRMED = "rescue.unconfirmed"
START_SECONDS = 60.0


def rescue(call: Call, guest: str | None = None) -> Result:
    """Run the undo that each hand-off left as plain shell, or that of `guest`; where none helps, start the desktop.

    Raises NotRoot, Refused: "guest.unknown", UNCONFIRMED.
    """
    call.need_root()
    intent = intent_of(call, guest)
    if intent.is_empty:
        return _nothing_to_do(guest, intent)
    call.need_agreement(UNCONFIRMED, _announcement(intent))
    return _carry_out(call, intent)


def _nothing_to_do(guest: str | None, intent: Intent) -> Result:
    data: dict[str, Any] = {"scripts": [], "started": []}
    if errors := (*intent.distrust, *intent.running):
        return refused(data, errors)
    of = f" of {guest}" if guest else ""
    also = "" if guest else ", and there is no display manager to start"
    return refused(data, ()).saying(Message(f"Nothing is to be done: no hand-off{of} left an undo{also}."))


def _announcement(intent: Intent) -> Iterator[str]:
    yield "This will be done:"
    for item in intent.undos:
        yield f"  run {item.script}, which takes these steps of {item.guest} back:"
        yield from (f"    {step}" for step in item.steps)
        yield f"    Its log: {item.log}"
    for unit in intent.units:
        yield f"  start {unit}" + (" if that does not bring everything back" if intent.undos else "")


def _carry_out(call: Call, intent: Intent) -> Result:
    rows = [_undo(call, item) for item in intent.undos]
    errors = [*intent.distrust, *intent.running, *_script_errors(call, zip(intent.undos, rows, strict=True))]
    started = []
    if intent.starts_at_once or not all(row["ok"] for row in rows):
        for unit in intent.units:
            call.caller.tell(f"  start  {unit}")
            found = _start(call.composition, unit)
            errors += found
            started += [] if found else [unit]
    result = incomplete({"scripts": rows, "started": started}, tuple(errors))
    closing = map(Message, _closing(call.composition.paths, intent.undos))
    return result.saying(*closing) if rows else result


def _closing(paths: Paths, undos: tuple[Undo, ...]) -> Iterator[str]:
    """How the books of what was undone are closed: a damaged journal is put aside, the others are finished."""
    hurt = [item.uuid for item in undos if item.uuid and problem_of(paths, item.uuid)]
    if len(hurt) < len(undos):
        yield "Close the journals with: vfioctl recover"
    for uuid in hurt:
        yield f"Its journal is damaged; put it aside with: vfioctl recover --discard {uuid}"


def _undo(call: Call, item: Undo) -> dict[str, Any]:
    try:
        ran = undo.run(call.composition, item, call.caller.tell)
    except KeyboardInterrupt:
        message = f"Interrupted. The undo of {item.guest} goes on by itself; its log is {item.log}."
        raise Interrupted(message) from None
    return {"script": item.script, "guest": item.guest, "log": item.log, "ok": ran.ok, "said": ran.why}


def _script_errors(call: Call, ran: Iterable[tuple[Undo, dict[str, Any]]]) -> Iterator[Error]:
    for item, row in ran:
        if not row["ok"]:
            message = f"{row['script']} did not bring everything back: {row['said'].rstrip('.')}."
            busy = any(other.uuid == item.uuid for other in running(call.composition.paths))
            hints = (f"Its log: {row['log']}", *((abort_hint(item),) if busy else ()))
            yield Error("rescue.script", message, hints=(*hints, "See what is left with: vfioctl status"))


def _start(here: Composition, unit: str) -> list[Error]:
    """Start `unit`; a failure before is forgotten first, or systemd refuses."""
    params, machine = {"unit": unit}, here.machine()
    try:
        here.programs.run(("systemctl", "reset-failed", "--", unit), deadline=START_SECONDS)
        _, is_manager = unit_kill.look(params, machine)
        ended, _ = unit_kill.carry_out(params, "start", machine, Deadline(START_SECONDS), may_kill=is_manager)
    except VfioctlError as error:
        return [Error(error.code, error.message, error.state, error.hints)]
    if ended.ok:
        return []
    hint = f"See why with: journalctl -b -u {unit}"
    return [Error("rescue.desktop", f"{unit} does not start: {ended.why().rstrip('.')}.", hints=(hint,))]
