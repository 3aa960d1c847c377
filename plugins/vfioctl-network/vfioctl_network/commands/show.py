"""`vfioctl network list`, `show` and `leases`: what there is. Reads only."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import Refused, Result, network_names, on_node, on_nodes, read_leases, read_network
from vfioctl_network.addresses import NOTHING_CHANGED
from vfioctl_network.commands.work import Networks, seen

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, Lease, Network, Port


@click.command("list")
@on_nodes
@click.pass_obj
def listed(call: Call, node: str, *, all_nodes: bool) -> Result:
    """List the networks of a node, or of all: how they stand, their addresses, and how many guests run on each."""
    answers = call.ask_nodes(seen, node, all_nodes=all_nodes)
    return answers.result("networks", lambda networks: (row(networks, one) for one in networks.every))


@click.command()
@click.argument("name", shell_complete=network_names)
@on_node
@click.pass_obj
def show(call: Call, name: str, node: str) -> Result:
    """Show the network NAME: its addresses, what DHCP and DNS know, and which guests are on it."""
    with call.connection(node) as connection:
        network = read_network(connection, name)
        networks, given = seen(connection), read_leases(connection, network)
    data = {
        **row(networks, network), "domain": network.domain,
        "subnets": [_subnet(one) for one in network.subnets],
        "names": [{"address": one.address, "names": list(one.names)} for one in network.names],
        "ports": [_port(one) for one in networks.on(network)],
        "leases": len(given),
    }  # fmt: skip
    return Result(data={"node": str(networks.node), "network": data})


@click.command()
@click.argument("name", required=False, shell_complete=network_names)
@on_nodes
@click.pass_obj
def leases(call: Call, name: str | None, node: str, *, all_nodes: bool) -> Result:
    """List the addresses that DHCP has given away on the network NAME, or on every one, and those that are kept.

    An address outlives its guest: where no guest has the MAC any more, that is said.
    """
    read = partial(_given, word=name or "", all_nodes=all_nodes)
    answers = call.ask_nodes(read, node, all_nodes=all_nodes)
    result = answers.result("leases", lambda rows: rows or ())
    if name and not (list(answers) or result.errors):
        raise Refused("network.unknown", f"No node has a network {name!r}.", state=NOTHING_CHANGED)
    return result


def row(networks: Networks, network: Network) -> dict[str, Any]:
    """A network as a list has it."""
    ports = networks.on(network)
    return {
        "name": network.name, "uuid": network.uuid, "active": network.active, "persistent": network.persistent,
        "autostart": network.autostart, "type": network.kind, "bridge": network.bridge,
        "devices": list(network.devices), "addresses": [one.cidr for one in network.subnets],
        "guests": sorted({one.guest for one in ports}), "running": sorted({one.guest for one in ports if one.live}),
    }  # fmt: skip


def _given(connection: Connection, *, word: str, all_nodes: bool) -> list[dict[str, Any]] | None:
    """The rows of one node of the network `word`, or of every one; None where of all nodes this one has none."""
    networks = seen(connection)
    wanted = tuple(one for one in networks.every if not word or word in (one.name, one.uuid))
    if not wanted and word:
        if all_nodes:
            return None
        wanted = (read_network(connection, word),)
    return [found for one in wanted for found in _leases(networks, one, read_leases(connection, one))]


def _subnet(one: Any) -> dict[str, Any]:
    kept = [{"mac": lease.mac, "address": lease.address, "name": lease.name} for lease in one.leases]
    return {"subnet": one.cidr, "gateway": one.gateway, "dhcp": [list(pair) for pair in one.ranges], "leases": kept}


def _port(one: Port) -> dict[str, Any]:
    return {"guest": one.guest, "mac": one.mac, "device": one.device, "running": one.live}


def _leases(networks: Networks, network: Network, given: tuple[Lease, ...]) -> list[dict[str, Any]]:
    """What was given away, then what is kept for guests that have not asked for it yet."""
    owners = {one.mac: one.guest for one in networks.ports}
    kept = {lease.address: lease for subnet in network.subnets for lease in subnet.leases}
    rows = [
        {"network": network.name, "address": one.address, "mac": one.mac, "name": one.name, "expires": one.expires,
         "kept": one.address in kept, "guest": owners.get(one.mac)} for one in given
    ]  # fmt: skip
    rest = [lease for address, lease in kept.items() if address not in {one.address for one in given}]
    return rows + [
        {"network": network.name, "address": one.address, "mac": one.mac, "name": one.name, "expires": None,
         "kept": True, "guest": owners.get(one.mac.lower())} for one in rest
    ]  # fmt: skip
