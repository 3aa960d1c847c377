"""Renders undo.sh: the way home of one guest as POSIX sh, for when no Python runs. Runs nothing.

The helper functions stand in undo.sh beside this file; each step kind renders calls of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.kinds import conditions
from vfioctl.shell import call, quote
from vfioctl.txn.kind import kind
from vfioctl.txn.resources import entry_name
from vfioctl.txn.step import Scope

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.step import Condition, Step

LIBRARY = os.path.join(os.path.dirname(__file__), "undo.sh")
PATIENCE = 15.0
LOOKS = 20  # at a condition, a second
HEAD = """\
#!/bin/sh
# The way home of one guest's devices, for when vfioctl itself cannot run. Written by vfioctl at its start.
# Harmless when run twice, or after vfioctl has undone a part. Exits 0 when all is back, 1 otherwise; see the log.
# shellcheck disable=SC2317 # each script calls only the helper functions that its steps need
# shellcheck disable=SC1003,SC2016 # values stand in single quotes and mean exactly their characters
set -u
"""


def render(
    guest: str, uuid: str, steps_in_undo_order: Iterable[Step], paths: Paths, *, back: Iterable[Condition] = (),
    patience: float = PATIENCE,
) -> str:  # fmt: skip
    """The script that undoes the lease's steps in the given order, then looks that the conditions in `back` hold.

    All of them together have `patience` seconds to come true.
    """
    library = files.read_bytes(LIBRARY, follow=True).decode()
    lines = [line for step in steps_in_undo_order for line in _step_lines(step, paths)]
    lines += [line for condition in back for line in _condition_lines(condition)]
    variables = f"{_variables(guest, uuid, paths)}patience={int(patience * LOOKS)}\n"
    return "\n".join((HEAD + variables, library, "begin", *lines, "finish", ""))


def _variables(guest: str, uuid: str, paths: Paths) -> str:
    root = paths.root.rstrip("/")
    values = {
        "GUEST": guest, "UUID": uuid, "ROOT": root, "SYS": paths.sys, "PROC": paths.proc, "PROGRAMS": paths.programs,
        "RUN": paths.run, "STUCK": paths.stuck, "MARKS": paths.guest_markers(guest),
        "JOURNAL": paths.boot_journal(uuid), "DISK_JOURNAL": paths.disk_journal(uuid),
        "LOCK": paths.key_lock(uuid), "LOG": os.path.join(paths.log, f"undo-{uuid}.log"),
    }  # fmt: skip
    return "".join(f"{name}={quote(value)}\n" for name, value in values.items())


def _step_lines(step: Step, paths: Paths) -> tuple[str, ...]:
    """A snapshot or a copy is kept once the guest has started, so transaction steps have no place here."""
    lines = kind(step.kind).render_undo(step, paths) if step.scope is Scope.LEASE else ()
    if not lines:
        return ()
    held = os.path.join(paths.ledger, entry_name(step.kind, step.resource))
    due = call("step", step.id, step.kind, held, json.dumps(step.id), "blind" if kind(step.kind).blind else "")
    return (f"if {due}; then", *(f"    {line}" for line in lines), "fi")


def _condition_lines(condition: Condition) -> tuple[str, ...]:
    """Only what a shell can see; holders, sessions and processes are left to vfioctl."""
    args, test = condition.args, ""
    match condition.kind:
        case "path.exists":
            test = call("exists", args["path"])
        case "path.absent":
            test = call("absent", args["path"])
        case "path.equals":
            test = call("says", args["path"], args["value"])
        case "link.target":
            test = call("points_to", args["path"], args["name"])
        case "module.gone":
            test = call("absent", f"/sys/module/{args['module'].replace('-', '_')}")
        case "unit.state" if args["state"] in ("active", "inactive"):
            test = call(f"is_{args['state']}", args["unit"], str(args.get("uid") or ""))
    return (f"{call('expect', conditions.describe(condition))} {test}",) if test else ()
