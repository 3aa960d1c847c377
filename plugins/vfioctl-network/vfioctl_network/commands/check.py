"""`vfioctl network check` and `repair`: whether what a network needs of this host is there, and putting it back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import Message, Refused, Result, StepProposal, changing, network_names, on_node, read_network
from vfioctl_network.addresses import NOTHING_CHANGED
from vfioctl_network.commands.show import row
from vfioctl_network.commands.work import Doing, Networks, perform, run_each, seen, step
from vfioctl_network.problems import packet_filter, problems

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Network, Node
    from vfioctl_network.problem import Problem

FAILED = 1


@click.command()
@click.argument("name", required=False, shell_complete=network_names)
@on_node
@click.pass_obj
def check(call: Call, name: str | None, node: str) -> Result:
    """Compare what the network NAME, or every active one, needs of this host with what is there.

    Firewall rules that somebody flushed, another table that drops what is forwarded (as Docker does), ports of guests
    that hang in the air, forwarding that is off, a DHCP server that is gone. The exit status is 1 where something is
    wrong.
    """
    networks, wanted = _here(call, name, node)
    found = packet_filter(call.host())
    rows = [
        {"name": one.name, "active": one.active,
         "problems": [_shown(each) for each in problems(call.host(), one, networks.on(one), found)]}
        for one in wanted if one.active or name
    ]  # fmt: skip
    wrong = any(row["problems"] for row in rows)
    return Result(data={"node": str(networks.node), "networks": rows}, exit_status=FAILED if wrong else 0)


@click.command()
@click.argument("name", shell_complete=network_names)
@changing
@click.pass_obj
def repair(call: Call, name: str, node: str, *, dry_run: bool) -> Result:
    """Put back what the active network NAME has lost on this host; nobody is cut off by it.

    Its firewall rules, the ports of running guests, and forwarding. Where Docker drops what is forwarded, the network
    is let through in the chain DOCKER-USER, until it is deleted. What `vfioctl network check` finds beside that is
    named with what would mend it: a table of somebody else is not touched.
    """
    networks, (network,) = _here(call, name, node)
    found = list(problems(call.host(), network, networks.on(network), packet_filter(call.host())))
    left = [Message(one.text, "warning", one.code, one.hint) for one in found if not one.is_mended]
    steps = tuple(_steps(networks.node, network, found))
    if not steps:
        data: dict[str, Any] = {
            "operation": None, "steps": [], "dry_run": dry_run, "node": str(networks.node),
            "network": row(networks, network),
        }  # fmt: skip
        said = f"The network {network.name} has lost nothing that could be put back."
        return Result(data=data, exit_status=FAILED if left else 0).saying(Message(said), *left)
    doing = Doing("repair", networks.node, network.name, network.uuid, steps, {})
    return perform(call, doing, row(networks, network), dry_run=dry_run).saying(*left)


def _here(call: Call, name: str | None, node: str) -> tuple[Networks, tuple[Network, ...]]:
    """The networks, and those that are meant; rules are read by root, on the host where they are."""
    call.need_root()
    with call.connection(node) as connection:
        if not connection.node.is_local:
            said = f"The rules of {connection.node} are there, and cannot be read from here."
            hint = f"Run it on {connection.node}, without --node."
            raise Refused("network.elsewhere", said, state=NOTHING_CHANGED, hints=(hint,))
        networks = seen(connection)
        return networks, (read_network(connection, name),) if name else networks.every


def _shown(one: Problem) -> dict[str, Any]:
    return {
        "code": one.code, "text": one.text, "hint": one.hint, "missing": list(one.missing), "repaired": one.is_mended,
    }  # fmt: skip


def _steps(node: Node, network: Network, found: Iterable[Problem]) -> Iterator[StepProposal]:
    """The chains of libvirt, what it writes into them, then the jumps that are to lead there, and the rest."""
    every = tuple(found)
    yield from run_each("chain", (command for one in every for command in one.first))
    if any(one.refresh for one in every):
        yield step("network.refresh", node, network.uuid, "libvirt is to write its rules again")
    yield from run_each("repair", (command for one in every for command in one.commands))
