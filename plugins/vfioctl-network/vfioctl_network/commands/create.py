"""`vfioctl network create`: a network that is there, active, and starts with libvirt."""

from __future__ import annotations

import os
import uuid as uuids
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Finding,
    Message,
    Result,
    Severity,
    address_conflicts,
    argument,
    changing,
    content_name,
    parse_network,
    replace,
)
from vfioctl_network.commands.work import Doing, Networks, interfaces, others, pairs, perform, seen, step, unseen
from vfioctl_network.document import document, free_bridge, mac_of
from vfioctl_network.entries import lease_changes, name_changes
from vfioctl_network.wish import BRIDGE, HOSTDEV, NAT, OWN, TYPES, Asked, judged

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import Call, Network, Node
    from vfioctl_network.entries import Change
    from vfioctl_network.wish import Wish


@click.command()
@click.argument("name")
@click.option("--type", "kind", type=click.Choice(TYPES), default=NAT, show_default=True, help="Where guests get to.")
@click.option("--subnet", default="", help="Its addresses, such as 192.168.219.0/24.")
@click.option("--gateway", default="", help="The host's own address there; the first one otherwise.")
@click.option("--dhcp", default="", help="What DHCP gives away, FIRST-LAST; all the rest otherwise.")
@click.option("--no-dhcp", is_flag=True, help="Give no addresses away.")
@click.option("--domain", default="", help="The DNS domain of its guests.")
@click.option("--bridge", default="", help="The host's bridge (type bridge), or how its own one is called.")
@click.option("--device", default="", help="The host's interface that it leads to.")
@click.option(
    "--lease", "leases", multiple=True, metavar="GUEST=ADDRESS", help="Keep an address for a guest, or for a MAC.",
)
@click.option("--dns", "names", multiple=True, metavar="NAME=ADDRESS", help="Let DNS know a name.")
@click.option("--no-autostart", is_flag=True, help="Do not start it with libvirt.")
@changing
@click.pass_obj
def create(
    call: Call, name: str, node: str, *, kind: str, subnet: str, gateway: str, dhcp: str, domain: str, bridge: str,
    device: str, leases: tuple[str, ...], names: tuple[str, ...], no_dhcp: bool, no_autostart: bool, dry_run: bool,
) -> Result:  # fmt: skip
    """Make the network NAME, start it, and have it start with libvirt.

    \b
    nat       guests get out with the host's address, and nobody gets in
    routed    guests keep their addresses; others need a route to them
    isolated  guests and this host only
    bridge    guests are on a bridge of the host (--bridge), as if plugged in there
    hostdev   each guest gets a virtual function of a card (--device)
    macvtap   guests share an interface of the host (--device), and cannot talk to the host

    Its addresses must be free: those of all networks of the node, and on this host those of all routes, count as taken.
    """
    asked = Asked(name, kind, subnet, gateway, dhcp, not no_dhcp, bridge, device, domain, leases, names)
    wish = judged(asked)
    with call.connection(node) as connection:
        networks = seen(connection)
    wish = _with_bridge(call, networks, wish)
    uuid = str(uuids.uuid4())
    mac = mac_of(os.urandom(3))
    entries = _entries(networks, parse_network(document(wish, uuid, mac)), asked)
    xml = document(wish, uuid, mac, entries).encode()
    blob = content_name(xml)
    findings = (*_conflicts(call, networks, wish), *_unfit(call, networks.node, wish))
    steps = tuple(_steps(networks.node, uuid, blob, entries, autostart=not no_autostart))
    doing = Doing("create", networks.node, name, uuid, steps, {blob: xml}, findings)
    result = perform(call, doing, _shown(wish, uuid, autostart=not no_autostart), dry_run=dry_run)
    return result.saying(*unseen(networks), *_next(result, wish, autostart=not no_autostart))


def _with_bridge(call: Call, networks: Networks, wish: Wish) -> Wish:
    if wish.kind not in OWN or wish.bridge:
        return wish
    taken = {one.bridge for one in networks.every} | interfaces(call, networks.node)
    return replace(wish, bridge=free_bridge(taken))


def _entries(networks: Networks, made: Network, asked: Asked) -> tuple[Change, ...]:
    """What the new network keeps; a guest is on it by its name before it is there."""
    ports = [one for one in networks.ports if one.network == made.name]
    kept = lease_changes(made, ports, pairs(asked.leases, "--lease"), ())
    return (*kept, *name_changes(made, pairs(asked.names, "--dns"), ()))


def _steps(node: Node, uuid: str, blob: str, entries: Iterable[Change], *, autostart: bool) -> Iterator[Any]:
    reason = "; ".join(("libvirt is to know it", *(one.reason for one in entries)))
    yield step("network.define", node, uuid, reason, blob=blob)
    yield step("network.start", node, uuid, "guests are to start on it", new=True)
    if autostart:
        reason = "guests are to find it after a restart of the host"
        yield step("network.autostart", node, uuid, reason, on=True, former=False, new=True)


def _conflicts(call: Call, networks: Networks, wish: Wish) -> Iterator[Finding]:
    if not wish.addresses:
        return
    yield from address_conflicts(wish.addresses.cidr, others(call, networks))
    if wish.addresses.public:
        said = f"{wish.addresses.cidr} are addresses of the internet: what is there cannot be reached any more."
        yield Finding("network.public", said, Severity.WARN, hint="Private ones are 192.168.0.0/16 and 10.0.0.0/8.")


def _unfit(call: Call, node: Node, wish: Wish) -> Iterator[Finding]:
    """What speaks against the bridge or the interface; those of another node are left to its libvirt."""
    if not node.is_local:
        return
    place = call.paths.at("sys/class/net")
    if wish.kind in OWN and wish.bridge in interfaces(call, node):
        said = f"There is an interface {wish.bridge} on this host already."
        yield Finding("network.interface", said, hint="Choose another --bridge, or leave it out.")
    for name in filter(None, (wish.device, wish.bridge if wish.kind == BRIDGE else "")):
        if not os.path.isdir(f"{place}/{name}"):
            yield Finding("network.interface", f"This host has no interface {name}.", hint="See: ip link")
        elif name == wish.bridge and not os.path.isdir(f"{place}/{name}/bridge"):
            yield Finding("network.interface", f"The interface {name} is no bridge.", hint="Use --type macvtap.")
        elif wish.kind == HOSTDEV and not os.path.exists(f"{place}/{name}/device/sriov_totalvfs"):
            said = f"The interface {name} belongs to no card that has virtual functions."
            yield Finding("network.interface", said, hint="Use --type macvtap.")


def _shown(wish: Wish, uuid: str, *, autostart: bool) -> dict[str, Any]:
    found = wish.addresses
    return {
        "name": wish.name, "uuid": uuid, "type": wish.kind, "bridge": wish.bridge, "device": wish.device,
        "domain": wish.domain, "subnet": found.cidr if found else "", "gateway": found.gateway if found else "",
        "dhcp": [found.first, found.last] if found and found.first else [], "autostart": autostart,
    }  # fmt: skip


def _next(result: Result, wish: Wish, *, autostart: bool) -> Iterator[Message]:
    if result.exit_status or result.data["dry_run"]:
        return
    name = argument(wish.name)
    if autostart:
        yield Message("It starts with libvirt.", hint=f"Unless that is changed: vfioctl network autostart {name} --off")
    yield Message(f"A guest is on it with <interface type='network'><source network='{wish.name}'/>.")
