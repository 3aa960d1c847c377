"""`vfioctl guest address`: where a guest is reached, and who says so. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Result,
    VfioctlError,
    guest_hostdevs,
    guest_interfaces,
    guest_names,
    on_node,
    read_addresses,
    until,
)
from vfioctl_guest.life import find, must_run
from vfioctl_guest.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import Call, GuestAddress, GuestAddresses
    from vfioctl_guest.life import Subject

PATIENCE = 120.0
LONGEST = 24 * 3600.0


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.option("--wait", is_flag=True, help="Wait until there is one.")
@click.option(
    "--timeout", type=click.FloatRange(1.0, LONGEST), default=PATIENCE, show_default=True, metavar="SECONDS",
    help="How long to wait with --wait.",
)  # fmt: skip
@on_node
@click.pass_obj
def address(call: Call, name: str, node: str, *, wait: bool, timeout: float) -> Result:
    """Show the addresses of the guest NAME, and who says so: its agent, a lease of its network, or ARP.

    Only those of its own network cards are shown, the surest first. Without any the exit status is 1.
    """
    with call.connection(node) as connection:
        about = find(call, connection, name)
        must_run(about)
        seen: list[GuestAddresses] = []

        def is_there() -> bool:
            seen[:] = [read_addresses(connection, about.guest.uuid)]
            return bool(seen[0].found)

        waited = timeout if wait and _has_cards(about) else 0.0
        if not until(is_there, waited):
            raise none_of(about, seen[0], waited)
    rows = [_row(one) for one in seen[0].found]
    return Result(data={"guest": about.name, "uuid": about.guest.uuid, "node": about.node, "addresses": rows})


def _row(one: GuestAddress) -> dict[str, object]:
    return {
        "address": one.address, "prefix": one.prefix, "family": one.family, "mac": one.mac, "source": one.source,
    }  # fmt: skip


def none_of(about: Subject, seen: GuestAddresses, waited: float = 0.0) -> VfioctlError:
    """What was tried, and what each said."""
    within = f" within {waited:g} s" if waited else ""
    wait = f"vfioctl guest address {about.called} --wait"
    more = f"Or wait for it{' longer' * bool(waited)}: {wait}{f' --timeout {waited * 5:g}' if waited else ''}"
    if not _has_cards(about):
        more = f"It has no network card; give it one: vfioctl guest attach {about.called} --network NETWORK"
    return VfioctlError(
        "guest.no_address", f"Guest {about.name} had no address{within}: {'; '.join(seen.silent)}.",
        state=NOTHING_CHANGED, hints=(f"Look at what it does with: vfioctl guest console {about.called}",
                                      more),
    )  # fmt: skip


def _has_cards(about: Subject) -> bool:
    """Whether it can have an address at all; a network card of the host is one of its devices."""
    return bool(guest_interfaces(about.guest.live_xml) or guest_hostdevs(about.guest.live_xml))
