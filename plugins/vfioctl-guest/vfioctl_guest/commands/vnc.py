"""`vfioctl guest vnc`: where the display of a guest is, or a viewer of it for the terminal to run. Runs nothing."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import ProgramSession, Refused, Result, guest_machine, guest_names, on_node
from vfioctl_guest.life import find, must_run
from vfioctl_guest.names import NOTHING_CHANGED
from vfioctl_guest.ways import display_of, is_there_alone, tunnel

if TYPE_CHECKING:
    from vfioctl.plugin import Call
    from vfioctl_guest.life import Subject
    from vfioctl_guest.ways import Display

INSTALL = "Install one (Debian: virt-viewer, tigervnc-viewer)."


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.option("--open", "opened", is_flag=True, help="Open it in virt-viewer, remote-viewer or vncviewer.")
@on_node
@click.pass_obj
def vnc(call: Call, name: str, node: str, *, opened: bool) -> Result:
    """Say where the display of the guest NAME is, VNC or SPICE, and what leads there from here.

    With --open the first viewer that is installed here takes the place of this command. One that listens on the
    loopback of another node needs the tunnel that is named.
    """
    with call.connection(node) as connection:
        about = find(call, connection, name)
        must_run(about)
    shown = _display(about)
    there = is_there_alone(shown, about.uri)
    way = shlex.join(tunnel(shown, about.uri)) if there else ""
    if opened and there:
        said = f"The display of guest {about.name} listens on {about.node} alone, and no viewer here reaches it."
        raise Refused("guest.no_display", said, state=NOTHING_CHANGED, hints=(f"Open a tunnel to it first: {way}",))
    data = {"kind": shown.kind, "address": shown.url, "socket": shown.socket, "tunnel": way}
    return Result(
        data={"guest": about.name, "uuid": about.guest.uuid, "node": about.node, "display": data},
        session=_viewer(about, shown) if opened else None,
    )  # fmt: skip


def _display(about: Subject) -> Display:
    """The first that has a place. Raises Refused("guest.no_display")."""
    told = guest_machine(about.guest.live_xml).displays
    found = next(filter(None, (display_of(one, about.uri) for one in told)), None)
    if found is None:
        raise Refused(
            "guest.no_display", f"Guest {about.name} has no display that a viewer reaches.", state=NOTHING_CHANGED,
            hints=(f"Open its serial console with: vfioctl guest console {about.called}",),
        )  # fmt: skip
    return found


def _viewer(about: Subject, shown: Display) -> ProgramSession:
    """virt-viewer asks libvirt itself, so it reaches a socket too; the others take an address."""
    first = ("virt-viewer", "--connect", about.uri, about.guest.uuid)
    if shown.socket:
        return ProgramSession(first, install=INSTALL)
    plain = (("vncviewer", f"{shown.host}::{shown.port}"),) if shown.kind == "vnc" else ()
    return ProgramSession(first, (("remote-viewer", shown.url), *plain), INSTALL)
