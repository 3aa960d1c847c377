"""`vfioctl rescue`: the desktop back from anything. Needs no plan that can be read, no plugin, no configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.options import verb

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Error, Message, Result
    from vfioctl.compose import Composition
    from vfioctl.paths import Paths

NAME = "rescue"
SCRIPT_SECONDS = 120.0
START_SECONDS = 60.0
DISPLAY_MANAGER = "display-manager.service"


@verb(NAME)
@click.pass_obj
def command(app: App) -> Result:
    """Bring the desktop back from anything.

    Runs the undo that each hand-off left as plain shell in /run/vfioctl/guests/GUEST/undo.sh. When there is none, the
    display manager is started.
    """
    from vfioctl.cli.result import incomplete

    app.need_root()
    here = app.composition
    scripts = [_run(here, path) for path in undo_scripts(here.paths)]
    errors = [item for row in scripts for item in _script_errors(row)]
    started = [] if scripts else [DISPLAY_MANAGER]
    errors += _start_desktop(here) if not scripts else []
    data = {"scripts": scripts, "started": started if not errors else []}
    return _told(incomplete(NAME, data, tuple(errors)), bool(scripts))


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
        ended = here.programs.run((path,), deadline=SCRIPT_SECONDS)
    except VfioctlError as error:
        return {"script": path, "ok": False, "said": error.message}
    return {"script": path, "ok": ended.ok, "said": "done" if ended.ok else ended.why()}


def _script_errors(row: dict[str, Any]) -> Iterator[Error]:
    from vfioctl.cli.result import Error

    if not row["ok"]:
        hint = "See what is left with: vfioctl status"
        yield Error("rescue.script", f"{row['script']} did not bring everything back: {row['said']}.", hints=(hint,))


def _start_desktop(here: Composition) -> list[Error]:
    """Start the display manager; a failure before is forgotten first, or systemd refuses."""
    from vfioctl.cli.result import Error
    from vfioctl.errors import VfioctlError

    try:
        here.programs.run(("systemctl", "reset-failed", DISPLAY_MANAGER), deadline=START_SECONDS)
        ended = here.programs.run(("systemctl", "start", DISPLAY_MANAGER), deadline=START_SECONDS)
    except VfioctlError as error:
        return [Error(error.code, error.message, error.state, error.hints)]
    if ended.ok:
        return []
    return [Error("rescue.desktop", f"The display manager does not start: {ended.why()}.",
                  hints=("See why with: journalctl -b -u display-manager",))]  # fmt: skip


def _told(result: Result, ran_scripts: bool) -> Result:  # noqa: FBT001 -- which of the two ways it went
    from dataclasses import replace

    from vfioctl.cli.result import Message

    if ran_scripts:
        said: Message = Message("Let the journals be closed with: vfioctl recover")
    else:
        said = Message("No hand-off left an undo; the display manager was asked to start.")
    return replace(result, messages=(said,))
