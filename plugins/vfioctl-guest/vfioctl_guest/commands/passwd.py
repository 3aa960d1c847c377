"""`vfioctl guest passwd`: another password for a user of a running guest, set by its agent. It is never undone.

Nobody can read the old one, so there is nothing to go back to, and no operation: the new one is written nowhere here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Result, guest_names, on_node, set_guest_password
from vfioctl_guest.accounts import CODE, check_user
from vfioctl_guest.life import find, must_have_agent
from vfioctl_guest.seed.reading import hash_of, line_of, no

if TYPE_CHECKING:
    from vfioctl.plugin import Call


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.option("--user", required=True, metavar="USER", help="Whose password; the guest has this user already.")
@click.option("--password-file", "password", default="", metavar="FILE", help="A file with the new password.")
@click.option("--password-hash-file", "hashed", default="", metavar="FILE",
              help="A file with its hash, such as `openssl passwd -6` makes.")  # fmt: skip
@on_node
@click.pass_obj
def passwd(call: Call, name: str, node: str, *, user: str, password: str, hashed: str) -> Result:
    """Give USER of the running guest NAME another password, through its agent.

    It needs no network. What is in the file stands in no command line, no log and no history. The old password is lost.
    """
    check_user(user)
    if bool(password) == bool(hashed):
        no("The password comes from a file: give either --password-file or --password-hash-file.", CODE)
    secret = hash_of(call, hashed, CODE) if hashed else line_of(call, password, "--password-file", CODE)
    with call.connection(node) as connection:
        about = find(call, connection, name)
        must_have_agent(about)
        set_guest_password(connection, about.guest.uuid, user, secret, is_hashed=bool(hashed))
    return Result(data={"guest": about.name, "uuid": about.guest.uuid, "node": about.node, "user": user})
