"""`vfioctl rescue`: the desktop back from anything. Needs no plan that can be read, no plugin, no configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.options import verb

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Error, Result
    from vfioctl.compose import Composition
    from vfioctl.paths import Paths

NAME = "rescue"
SHELL = "/bin/sh"  # many distributions mount /run with noexec
SCRIPT_SECONDS = 120.0
START_SECONDS = 60.0
DISPLAY_MANAGER = "display-manager.service"


@verb(NAME)
@click.pass_obj
def command(app: App) -> Result:
    """Bring the desktop back from anything.

    Runs the undo that each hand-off left as plain shell in /run/vfioctl/guests/GUEST/undo.sh. When there is none, or
    one fails, the units that are recorded as stopped are started; when none is recorded, the display manager.
    """
    from vfioctl.cli.result import incomplete

    app.need_root()
    here = app.composition
    errors = _distrust(here.paths)
    trusted = not errors
    scripts = [_run(here, path) for path in undo_scripts(here.paths)] if trusted else []
    errors += [item for row in scripts for item in _script_errors(row)]
    started = []
    if not scripts or errors:
        for unit in (recorded_units(here.paths) if trusted else ()) or (DISPLAY_MANAGER,):
            found = _start(here, unit)
            errors += found
            started += [] if found else [unit]
    return _told(incomplete(NAME, {"scripts": scripts, "started": started}, tuple(errors)))


def _distrust(paths: Paths) -> list[Error]:
    """Why neither undo nor record is obeyed: others could have written them. The desktop is started all the same."""
    from vfioctl.cli.result import Error
    from vfioctl.errors import Refused
    from vfioctl.ownership import secure_state

    try:
        secure_state(paths)
    except Refused as error:
        return [Error(error.code, error.message, "No undo.sh was run.", error.hints)]
    return []


def recorded_units(paths: Paths) -> tuple[str, ...]:
    """The system units that a hand-off stopped, as the ledger tells; what cannot be read tells nothing."""
    from vfioctl.txn.resources import Ledger

    try:
        entries = Ledger(paths).entries()
    except (OSError, ValueError, TypeError):
        return ()
    stopped = (entry for entry in entries if entry.kind == "unit.stop" and entry.baseline.get("active"))
    return tuple(str(entry.wish["unit"]) for entry in stopped if entry.wish.get("uid") is None)


def undo_scripts(paths: Paths) -> tuple[str, ...]:
    """The rendered undo of every guest that has one."""
    try:
        guests = sorted(os.listdir(paths.markers))
    except FileNotFoundError:
        return ()
    found = (os.path.join(paths.guest_markers(guest), "undo.sh") for guest in guests)
    return tuple(path for path in found if os.path.isfile(path))


def _run(here: Composition, path: str) -> dict[str, Any]:
    from vfioctl.errors import VfioctlError

    try:
        ended = here.programs.run((SHELL, path), deadline=SCRIPT_SECONDS)
    except VfioctlError as error:
        return {"script": path, "ok": False, "said": error.message}
    return {"script": path, "ok": ended.ok, "said": "done" if ended.ok else ended.why()}


def _script_errors(row: dict[str, Any]) -> Iterator[Error]:
    from vfioctl.cli.result import Error

    if not row["ok"]:
        hint = "See what is left with: vfioctl status"
        yield Error("rescue.script", f"{row['script']} did not bring everything back: {row['said']}.", hints=(hint,))


def _start(here: Composition, unit: str) -> list[Error]:
    """Start `unit`; a failure before is forgotten first, or systemd refuses."""
    from vfioctl.cli.result import Error
    from vfioctl.errors import VfioctlError

    try:
        here.programs.run(("systemctl", "reset-failed", "--", unit), deadline=START_SECONDS)
        ended = here.programs.run(("systemctl", "start", "--", unit), deadline=START_SECONDS)
    except VfioctlError as error:
        return [Error(error.code, error.message, error.state, error.hints)]
    if ended.ok:
        return []
    hint = f"See why with: journalctl -b -u {unit}"
    return [Error("rescue.desktop", f"{unit} does not start: {ended.why()}.", hints=(hint,))]


def _told(result: Result) -> Result:
    from dataclasses import replace

    from vfioctl.cli.result import Message

    if result.data["scripts"]:
        said = Message("Let the journals be closed with: vfioctl recover")
    elif not result.errors:
        said = Message("No hand-off left an undo.")
    else:
        return result
    return replace(result, messages=(said,))
