"""`vfioctl guest profile`: the sets of choices for new guests that this host has. Only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import Result, VfioctlError, failed, replace
from vfioctl_guest import profiles
from vfioctl_guest.commands.create import create

if TYPE_CHECKING:
    from vfioctl.plugin import Call


@click.command("list")
@click.pass_obj
def listed(call: Call) -> Result:
    """List the profiles of this host: sets of choices for `guest create --profile`.

    One that is wrong is listed with its reason, and the exit status is 1.
    """
    found = [(name, _read(call, name)) for name in profiles.names(call)]
    wrong = [failed("", one) for _, one in found if isinstance(one, VfioctlError)]
    rows = [_row(name, one) for name, one in found]
    result = Result(data={"place": profiles.place(call), "profiles": rows})
    return replace(result, errors=tuple(error for one in wrong for error in one.errors), exit_status=int(bool(wrong)))


@click.command()
@click.argument("name", shell_complete=profiles.profile_names)
@click.pass_obj
def show(call: Call, name: str) -> Result:
    """Show what the profile NAME chooses for a new guest, and in which line of its file."""
    one = profiles.find(call, name, create)
    return Result(data={"name": one.name, "file": one.file, "description": one.description, "settings": one.rows()})


def _read(call: Call, name: str) -> profiles.Profile | VfioctlError:
    try:
        return profiles.find(call, name, create)
    except VfioctlError as error:
        return error


def _row(name: str, one: profiles.Profile | VfioctlError) -> dict[str, Any]:
    if isinstance(one, VfioctlError):
        return {"name": name, "description": "", "settings": [], "error": one.message}
    return {"name": name, "description": one.description, "settings": sorted(one.choices), "error": ""}
