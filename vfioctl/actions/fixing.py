"""Mends what `doctor` finds where the fix is one file: shows each change, asks, makes it, and looks once more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vfioctl.actions import host_changes
from vfioctl.actions.doctor import doctor, examined
from vfioctl.actions.errors import Unconfirmed
from vfioctl.actions.host_changes import Verb
from vfioctl.actions.offers import offers
from vfioctl.doctor.fixers import RECORD
from vfioctl.errors import EXIT_FAILED, VfioctlError
from vfioctl.findings import Finding
from vfioctl.frozen import frozen, replace
from vfioctl.plugin.operations import Question
from vfioctl.result import OK, Message, Result

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.plugin.host_changes import HostChange

CODE, UNDO_CODE = "doctor.unconfirmed", "doctor.unconfirmed_undo"
PLUGIN, VERB = "core", "doctor"
DONE, SHOWN, DECLINED, FAILED, ALREADY = "done", "would be done", "declined", "failed", "already there"
NOT_YET = "the files say so already; restart this host, or make what is made of them anew"


@frozen
class Fix:
    """A finding, and the change that mends it; or why its fixer could not say one."""

    finding: Finding
    change: HostChange | None
    problem: str = ""


def fix(call: Call, code: str = "", *, dry_run: bool = False) -> Result:
    """Mend every finding that has a fix, or those of `code`, one after the other; then what is found afterwards.

    A change that is refused or fails is told and costs only itself. Raises NotRoot, and Unconfirmed where nobody is
    there to be asked.
    """
    if not dry_run:
        call.need_root()
    made = [_make(call, one, code, dry_run=dry_run) for one in _fixes(call, code)]
    after = doctor(call)
    failed = any(one["state"] == FAILED for one in made)
    status = EXIT_FAILED if failed else OK if dry_run else after.exit_status
    said = tuple(_said(made, code))
    errors = () if dry_run else after.errors
    return replace(after, data={**after.data, "fixed": made}, errors=errors, exit_status=status).saying(*said)


def undo(call: Call, *, dry_run: bool = False, leave_edited: bool = False) -> Result:
    """Take back what `fix` has changed on the record of the core."""
    question = Question(UNDO_CODE, ("What `vfioctl doctor --fix` has changed is put back.",))
    verb = Verb(PLUGIN, VERB, question)
    return host_changes.take_back(call, RECORD, verb, dry_run=dry_run, leave_edited=leave_edited)


def _fixes(call: Call, code: str) -> Iterator[Fix]:
    """Each finding with the change that mends it, as the host is by then: an earlier one may have mended it, too."""
    there = offers(call)
    wanted = {one.code for checked in examined(call) for one in checked.findings} & there.fixers.keys()
    for name in sorted(wanted & {code} if code else wanted):
        for finding in _found(call, name):
            called = there.change(finding)
            if called.value or called.problem:
                yield Fix(finding, called.value, called.problem)


def _found(call: Call, code: str) -> tuple[Finding, ...]:
    """The findings of `code` now, one for each evidence."""
    found = (one for checked in examined(call) for one in checked.findings if one.code == code)
    return tuple({one.evidence: one for one in found}.values())


def _make(call: Call, wanted: Fix, asked: str, *, dry_run: bool) -> dict[str, Any]:
    """What became of one fix. Where no code was `asked` for, who agrees to this one has not seen the others."""
    if wanted.change is None:
        return _row(wanted, FAILED, (), f"What would mend it cannot be said: {wanted.problem}.")
    code = wanted.finding.code
    lines = (f"[{code}] {wanted.finding.message}",)
    verb = Verb(PLUGIN, VERB, Question(CODE, lines, () if asked else (code,)))
    try:
        result = host_changes.change(call, wanted.change, verb, dry_run=dry_run)
    except Unconfirmed as error:
        if error.hints:  # nobody was there to be asked
            raise
        return _row(wanted, DECLINED, (), error.message)
    except VfioctlError as error:
        return _row(wanted, FAILED, (), f"{error.message} {' '.join(error.hints)}".strip())
    if not result.data["changes"]:
        return _row(wanted, ALREADY, (), NOT_YET)
    state = FAILED if result.errors else SHOWN if dry_run else DONE
    why = " ".join(one.message for one in result.errors)
    return _row(wanted, state, result.data["changes"], why)


def _row(wanted: Fix, state: str, changes: Any, why: str) -> dict[str, Any]:
    return {
        "code": wanted.finding.code, "state": state, "changes": list(changes), "why": why,
        "restart": bool(wanted.change and wanted.change.restart), "back": wanted.change.back if wanted.change else "",
    }  # fmt: skip


def _said(made: list[dict[str, Any]], code: str) -> Iterator[Message]:
    if not made:
        about = f"{code} is not found here, or has" if code else "Nothing that is found here has"
        yield Message(f"{about} no fix that vfioctl makes: what helps stands with each finding.")
        return
    done = [one for one in made if one["state"] == DONE]
    if any(one["restart"] for one in done):
        yield Message(host_changes.RESTART)
    for back in dict.fromkeys(one["back"] for one in done):
        yield Message(f"Take it back with: {back}")
