"""Asks the person at the terminal before something is done that cannot be taken back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vfioctl.cli.app import App


def ask(app: App, *, code: str, again: str) -> None:
    """Return when somebody says yes; else raise Refused(`code`). `again` is the command line that does not ask."""
    from vfioctl.cli.app import Interrupted
    from vfioctl.errors import Refused

    if app.format != "text" or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Refused(
            code, f"`{app.command}` asks before it acts, and nobody is there to be asked.",
            state="Nothing was changed.", hints=(f"Go on without being asked: {again}",),
        )  # fmt: skip
    try:
        agreed = click.confirm("Go on?", default=False)
    except click.Abort:
        raise Interrupted("Interrupted before anything was done.") from None
    if not agreed:
        raise Refused(code, "It was not agreed to.", state="Nothing was changed.")
