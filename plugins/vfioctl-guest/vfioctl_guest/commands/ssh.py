"""`vfioctl guest ssh`: ssh to where a guest is reached, for the terminal to run. Runs nothing by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import ProgramSession, Result, guest_names, on_node, read_addresses
from vfioctl_guest.commands.address import none_of
from vfioctl_guest.life import find, must_run
from vfioctl_guest.ways import ssh_command

if TYPE_CHECKING:
    from vfioctl.plugin import Call

INSTALL = "Install it (Debian: openssh-client)."


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--user", help="Log in as this user; else as ssh is set up.")
@click.option("--identity", type=click.Path(dir_okay=False), metavar="FILE", help="The private key to log in with.")
@on_node
@click.pass_obj
def ssh(
    call: Call, name: str, command: tuple[str, ...], node: str, *, user: str | None, identity: str | None
) -> Result:
    """Log in to the guest NAME over ssh, or run COMMAND in it, which stands behind --.

    Its address is looked up as `guest address` does. Its host key is remembered for the guest, not for the address,
    which another guest may have tomorrow. On a node that is reached by ssh the way leads over that node.
    """
    with call.connection(node) as connection:
        about = find(call, connection, name)
        must_run(about)
        seen = read_addresses(connection, about.guest.uuid)
    if not seen.found:
        raise none_of(about, seen)
    there = seen.found[0]
    argv = (*ssh_command(about.guest.uuid, about.uri, there.address, user=user, identity=identity), *command)
    return Result(
        data={"guest": about.name, "uuid": about.guest.uuid, "node": about.node, "address": there.address,
              "source": there.source, "argv": list(argv)},
        session=ProgramSession(argv, install=INSTALL),
    )  # fmt: skip
