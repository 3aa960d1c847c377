"""`vfioctl guest screenshot`: what a guest shows on its display, as a PNG file. Changes nothing of the guest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Refused, Result, argument, guest_names, on_node, read_screen
from vfioctl_guest.life import find, must_run
from vfioctl_guest.names import NOTHING_CHANGED
from vfioctl_guest.picture import as_png, screens
from vfioctl_guest.whole_file import whole_file

if TYPE_CHECKING:
    from vfioctl.plugin import Call
    from vfioctl_guest.life import Subject

MODE = 0o644
SUFFIX = ".png"


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--screen", type=click.IntRange(0), default=0, show_default=True, help="Which of its displays.")
@click.option("--overwrite", is_flag=True, help="Replace FILE where it is there.")
@on_node
@click.pass_obj
def screenshot(call: Call, name: str, file: str, node: str, *, screen: int, overwrite: bool) -> Result:
    """Write what the guest NAME shows now to FILE, a PNG on this host.

    The guest takes no notice. One that has no display, such as one with a card of its host alone, has nothing to show.
    """
    if not file.endswith(SUFFIX):
        said = f"{file} does not end in {SUFFIX}, and what is written is a PNG."
        raise Refused("guest.screenshot", said, state=NOTHING_CHANGED, hints=(f"Call it: {argument(file)}{SUFFIX}",))
    with call.connection(node) as connection:
        about = find(call, connection, name)
        must_run(about)
        _must_have(about, screen)
        picture = read_screen(connection, about.guest.uuid, screen)
    data = as_png(picture.data, picture.mime)
    with whole_file(file, "guest.screenshot", mode=MODE, overwrite=overwrite) as fd:
        left = data
        while left:  # a file system that gets full takes a part before it refuses
            left = left[os.write(fd, left):]
    written = {"file": os.path.abspath(file), "bytes": len(data)}
    return Result(data={"guest": about.name, "uuid": about.guest.uuid, "node": about.node, **written})


def _must_have(about: Subject, screen: int) -> None:
    """Raise Refused("guest.screenshot") for a number that none of its displays has."""
    there = screens(about.guest.live_xml)
    if screen and screen >= there:
        said = f"Guest {about.name} has no screen {screen}: its displays are counted from 0, and are {there}."
        raise Refused("guest.screenshot", said, state=NOTHING_CHANGED, hints=("Leave --screen out for the first one.",))
