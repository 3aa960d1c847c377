"""`vfioctl network set`: kept addresses and DNS names, at once where the network is active. Nobody is cut off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import (
    Finding,
    Message,
    Refused,
    Result,
    Severity,
    argument,
    changing,
    network_names,
    read_leases,
    read_network,
    replace,
)
from vfioctl_network.addresses import NOTHING_CHANGED
from vfioctl_network.commands.show import row
from vfioctl_network.commands.work import Doing, pairs, perform, seen, step
from vfioctl_network.entries import LEASES, beside, lease_changes, name_changes

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Lease, Network, Node, StepProposal
    from vfioctl_network.entries import Change


@click.command("set")
@click.argument("name", shell_complete=network_names)
@click.option("--lease", "keep", multiple=True, metavar="GUEST=ADDRESS", help="Keep an address for a guest, or a MAC.")
@click.option("--no-lease", "drop", multiple=True, metavar="GUEST", help="Keep none for a guest, a MAC, or that one.")
@click.option("--dns", multiple=True, metavar="NAME=ADDRESS", help="Let DNS know a name.")
@click.option("--no-dns", multiple=True, metavar="NAME", help="Let DNS forget a name.")
@changing
@click.pass_obj
def change(
    call: Call, name: str, node: str, *, keep: tuple[str, ...], drop: tuple[str, ...], dns: tuple[str, ...],
    no_dns: tuple[str, ...], dry_run: bool,
) -> Result:  # fmt: skip
    """Change which addresses the network NAME keeps for guests, and which names its DNS knows.

    It takes effect at once and cuts nobody off: a guest has the address that it has until it renews it.
    """
    with call.connection(node) as connection:
        networks, network = seen(connection), read_network(connection, name)
        given = read_leases(connection, network)
    _check(network, keep, drop, dns, no_dns)
    changes = (
        *lease_changes(network, networks.on(network), pairs(keep, "--lease"), drop),
        *name_changes(network, pairs(dns, "--dns"), no_dns),
    )  # fmt: skip
    if not changes:
        data: dict[str, Any] = {
            "operation": None, "steps": [], "dry_run": dry_run, "node": str(networks.node),
            "network": row(networks, network),
        }  # fmt: skip
        return Result(data=data).saying(Message(f"The network {network.name} is so already."))
    steps = tuple(_steps(networks.node, network, changes))
    doing = Doing(
        "set", networks.node, network.name, network.uuid, steps, {}, tuple(_held(network, changes, given)),
    )  # fmt: skip
    result = perform(call, doing, row(networks, network), dry_run=dry_run)
    return result if result.exit_status or dry_run else result.saying(_effect(network, changes))


def _check(network: Network, *options: tuple[str, ...]) -> None:
    if not any(options):
        raise click.UsageError("Nothing is to be changed: give --lease, --no-lease, --dns or --no-dns.")
    if not network.subnets:
        said = f"The network {network.name} has no addresses of its own: DHCP and DNS are somebody else's there."
        raise Refused("network.options", said, state=NOTHING_CHANGED)
    if not network.persistent:
        said = f"libvirt has no configuration of the network {network.name}: it would be gone with its end."
        raise Refused("network.transient", said, state=NOTHING_CHANGED)


def _steps(node: Node, network: Network, changes: tuple[Change, ...]) -> Iterator[StepProposal]:
    for number, one in enumerate(changes):
        made = step(
            "network.update", node, network.uuid, one.reason, section=one.section, index=one.index, former=one.former,
            entry=one.entry, beside=list(beside(one, changes)),
        )  # fmt: skip
        yield replace(made, id=f"network.update:{number}")


def _held(network: Network, changes: Iterable[Change], given: tuple[Lease, ...]) -> Iterator[Finding]:
    """An address that somebody has now comes to its guest only when that one has given it back."""
    for lease in given:
        for one in changes:
            if one.address == lease.address and one.mac != lease.mac:
                said = f"{lease.address} is given to {lease.name or lease.mac} now, and free only after that."
                hint = f"See: vfioctl network leases {argument(network.name)}"
                yield Finding("network.lease_held", said, Severity.WARN, hint=hint)


def _effect(network: Network, changes: Iterable[Change]) -> Message:
    if not network.active:
        return Message("It takes effect when the network starts.")
    if any(one.section == LEASES for one in changes):
        return Message("DHCP knows it now; a guest keeps the address that it has until it renews it.")
    return Message("DNS knows it now.")
