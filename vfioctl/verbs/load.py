"""The click command behind a row, imported now. A plugin's code is judged before it is imported."""

from __future__ import annotations

import importlib

import click

from vfioctl.errors import Refused, VfioctlError
from vfioctl.verbs.row import Row


def load(row: Row) -> click.Command:
    """The command that `row` stands for. Raises VfioctlError("plugin.command_broken") when it cannot be imported.

    A plugin's is judged first, since the manifest was written at another time: Refused of the same code.
    """
    module, _, attribute = row.target.partition(":")
    if module.startswith("vfioctl."):
        return _command(getattr(importlib.import_module(module), attribute))
    _must_be_safe(row.name, module)
    try:
        return _command(getattr(importlib.import_module(module), attribute))
    except Exception as error:
        raise VfioctlError(
            "plugin.command_broken",
            f"The command {row.name!r} of a plugin ({row.target}) cannot be loaded: {error}.",
            hints=("See what is installed with: vfioctl plugins list",),
        ) from error


def _must_be_safe(name: str, module: str) -> None:
    from vfioctl.ownership import mended
    from vfioctl.plugin.package import culprit

    if found := culprit(module):
        hint = mended(found[0], "Install it where only root can write, as vfioctl itself.")
        raise Refused(
            "plugin.command_broken", f"The command {name!r} of a plugin is not run: {found[1]}.",
            state="Nothing of it was imported.", hints=(hint,),
        )  # fmt: skip


def _command(found: object) -> click.Command:
    if not isinstance(found, click.Command):
        raise TypeError(f"{found!r} is not a click command")
    return found
