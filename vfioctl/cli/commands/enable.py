"""`vfioctl enable GUEST`: the guest file, the pinned cards, and what the domain gets so that a card works there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vfioctl.actions.errors import Misuse
from vfioctl.cli.types import GUEST, xml_option
from vfioctl.verbs.names import card_addresses, input_devices, usb_controllers

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.result import Result


@click.command()
@click.argument("guest", type=GUEST)
@xml_option
@click.option("--gpu", shell_complete=card_addresses, metavar="ADDRESS", default="",
              help="Give it this card of the host, or: first-free.")
@click.option("--rom", type=click.Path(), metavar="FILE", default="", help="Use the ROM in FILE for the card.")
@click.option("--display", type=click.Choice(("keep", "none")), default=None,
              help="Whether it keeps its emulated screen.")
@click.option("--evdev", multiple=True, shell_complete=input_devices, metavar="DEVICE",
              help="A keyboard or mouse in /dev/input/by-id; both Ctrl keys switch.")
@click.option("--usb", multiple=True, shell_complete=usb_controllers, metavar="ADDRESS",
              help="A USB controller of the host.")
@click.option("--looking-glass", "screen", default="", metavar="WIDTHxHEIGHT",
              help="Share memory for Looking Glass, enough for such a screen.")
@click.option("--hide-kvm", "hidden", is_flag=True, help="For a driver of NVIDIA in the guest older than 465.")
@click.option("--end-session", is_flag=True, help="A logged-in user's session may be ended; its open windows are lost.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(
    call: Call, /, guest: str, xml: str | None, *, end_session: bool, dry_run: bool, yes: bool, **asked: Any
) -> Result:
    """Let vfioctl manage a guest, and give it a card.

    Writes its file in /etc/vfioctl/guests, pins which cards it may get, and sets managed='no' in the domain, so that
    libvirt does not unbind a held card when the hook does not fire. libvirt-python changes the domain, else virsh; the
    definition as it was is kept. With --xml the change is only shown, for `virsh edit`. What is there already is kept.
    It is one operation: what fails half-way is put back, and `vfioctl recover` does so after a crash.

    With --gpu all functions of the card that go together are added to the domain, and --rom, --display, --evdev, --usb
    and --looking-glass add what it needs besides. The change is shown, and made together with the guest file or not at
    all; `vfioctl disable` takes it back.

    On a terminal a guest without a card is asked about: which one, and what it needs besides.

    Where a session is on the card, a start is refused until the guest file says session = "end". Then it ends right
    after its user was told, and what is not saved is lost; nothing brings it back.
    """
    from vfioctl.actions.equip.wish import Wish  # the completion of other verbs imports this, too

    wish = Wish(**{**asked, "display": asked["display"] or ""})
    if not (wish or dry_run or xml or end_session or yes):
        from vfioctl.actions.equip.guided import guided

        wish = guided(call, guest)
    if not wish and not dry_run:
        from vfioctl.actions.enable import enable

        return enable(call, guest, xml, end_session=end_session)
    if wish and xml:
        raise Misuse("enable", "--xml shows a change for `virsh edit`, and devices are only given to libvirt's domain.")
    from vfioctl.actions.equip.operation import CHANGE, equip

    if yes:
        call.agree(CHANGE)
    return equip(call, guest, wish, xml=xml, end_session=end_session, dry_run=dry_run)
