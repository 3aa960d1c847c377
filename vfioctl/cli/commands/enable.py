"""`vfioctl enable GUEST`: writes the guest file, pins the cards' identities, and sets managed='no' in the domain."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.actions.enable import enable
from vfioctl.cli.types import GUEST, xml_option
from vfioctl.result import Result


@click.command()
@click.argument("guest", type=GUEST)
@xml_option
@click.option("--end-session", is_flag=True, help="A logged-in user's session may be ended; its open windows are lost.")
@click.pass_obj
def command(call: Call, guest: str, xml: str | None, end_session: bool) -> Result:  # noqa: FBT001 -- click's signature
    """Let vfioctl manage a guest.

    Writes its file in /etc/vfioctl/guests, pins which cards it may get, and sets managed='no' in the domain, so that
    libvirt does not unbind a held card when the hook does not fire. libvirt-python changes the domain, else virsh; the
    definition as it was is kept. With --xml the change is only shown, for `virsh edit`. What is there already is kept.

    Where a session is on the card, a start is refused until the guest file says session = "end". Then it ends right
    after its user was told, and what is not saved is lost; nothing brings it back.
    """
    return enable(call, guest, xml, end_session=end_session)
