"""`vfioctl guest console`: the serial console of a guest, for the terminal to open. Opens nothing by itself."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import ConsoleSession, Refused, Result, guest_consoles, guest_names, on_node
from vfioctl_guest.life import find, must_run
from vfioctl_guest.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import Call
    from vfioctl_guest.life import Subject

OPENED = ("pty", "unix")  # what libvirt makes a stream of (qemuDomainOpenConsole)
CARET = re.compile(r"\^[@-_a-z]")
NONE = "none"


def _key(_: click.Context, param: click.Parameter, value: str) -> str:
    """The character that is meant; "" for none. Raises click.BadParameter."""
    if value == NONE:
        return ""
    if CARET.fullmatch(value):
        return chr(ord(value[1]) & 0x1F)
    if len(value) == 1 and value.isascii() and value.isprintable():
        return value
    raise click.BadParameter(f"expected a key such as ^] or ~, or {NONE}; found {value!r}.", param=param)


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.option(
    "--log", type=click.Path(dir_okay=False), metavar="FILE", help="Append what the guest says to FILE, made with mode "
    "0600.",
)  # fmt: skip
@click.option(
    "--escape", default="^]", show_default=True, callback=_key, metavar="KEY",
    help="The key that leaves it, as ^A or ~; none for none.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Take it from whoever has it open.")
@on_node
@click.pass_obj
def console(call: Call, name: str, node: str, *, log: str | None, escape: str, force: bool) -> Result:
    """Open the serial console of the guest NAME on this terminal, from whichever node it is on.

    Every key goes to the guest but the one that leaves it. In a pipe, what the guest says is written to it until the
    guest ends or standard input does. With --format json nothing is opened: what would be is described.
    """
    with call.connection(node) as connection:
        about = find(call, connection, name)
        must_run(about)
        session = ConsoleSession(
            guest=about.name, uuid=about.guest.uuid, node=about.node, uri=about.uri, device=_device(about),
            escape=escape, log=os.path.abspath(log) if log else "", force=force,
        )  # fmt: skip
    return Result(data=_described(session), session=session)


def _device(about: Subject) -> str:
    """libvirt's alias of the first one that it can open. Raises Refused("guest.no_console")."""
    there = guest_consoles(about.guest.live_xml)
    found = next((one.device for one in there if one.kind in OPENED), "")
    if found:
        return found
    kinds = ", ".join(sorted({one.kind for one in there}))
    has = f"only one that libvirt cannot open ({kinds})" if kinds else "none"
    raise Refused(
        "guest.no_console", f"Guest {about.name} has no serial console: {has}.", state=NOTHING_CHANGED,
        hints=(f"See what it shows instead with: vfioctl guest screenshot {about.called} FILE.png",),
    )  # fmt: skip


def _described(session: ConsoleSession) -> dict[str, object]:
    return {
        "guest": session.guest, "uuid": session.uuid, "node": session.node,
        "console": {"uri": session.uri, "device": session.device, "escape": session.escape, "log": session.log,
                    "force": session.force},
    }  # fmt: skip
