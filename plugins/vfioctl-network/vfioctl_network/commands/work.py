"""What the verbs share: the networks of a node, what else has their addresses, how steps become an operation."""

from __future__ import annotations

import os
import uuid as uuids
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import (
    Message,
    OperationRequest,
    Result,
    StepProposal,
    destinations,
    frozen,
    network_ports,
    read_guests,
    read_networks,
    taken_addresses,
)

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, Finding, Network, Node, Port, Question, Taken
    from vfioctl_network.problem import Command

PLUGIN = "network"
DEADLINE = 60.0
NOT_SEEN = "The routes of {node} cannot be seen from here: only its networks were compared."


@frozen
class Networks:
    """The networks of a node, by name, and which interfaces of guests are on each."""

    node: Node
    every: tuple[Network, ...]
    ports: tuple[Port, ...]

    def on(self, network: Network) -> tuple[Port, ...]:
        """The interfaces of guests on `network`, also those that name its bridge."""
        bridge = network.bridge
        return tuple(one for one in self.ports if one.network == network.name or (bridge and one.bridge == bridge))


def pairs(words: Iterable[str], option: str) -> Iterator[tuple[str, str]]:
    """What stands before and behind the last = of each word. Raises click.UsageError."""
    for word in words:
        what, equals, address = word.rpartition("=")
        if not (what and equals and address):
            form = "NAME=ADDRESS" if option == "--dns" else "GUEST=ADDRESS"
            raise click.UsageError(f"{option} {word} is not of the form {form}.")
        yield what, address


def seen(connection: Connection) -> Networks:
    """What libvirt says of them, now."""
    return Networks(connection.node, read_networks(connection), network_ports(read_guests(connection)))


def others(call: Call, networks: Networks, *, but: str = "") -> tuple[Taken, ...]:
    """What has addresses already: the networks of the node but the one `but`, and the routes of this host on it."""
    known = destinations(call.paths) if networks.node.is_local else ()
    return taken_addresses(networks.every, known, but=but)


def interfaces(call: Call, node: Node) -> frozenset[str]:
    """The names of the host's network interfaces; none of another node's can be seen."""
    if not node.is_local:
        return frozenset()
    try:
        return frozenset(os.listdir(call.paths.at("sys/class/net")))
    except OSError:
        return frozenset()


@frozen
class Doing:
    """An operation on one network: its verb, its steps in order, and what it needs beside them."""

    verb: str
    node: Node
    name: str
    uuid: str
    steps: tuple[StepProposal, ...]
    contents: Mapping[str, bytes]
    findings: tuple[Finding, ...] = ()
    question: Question | None = None


def perform(call: Call, doing: Doing, shown: Mapping[str, Any], *, dry_run: bool) -> Result:
    """The result of the operation, with the network that it is about as `shown` has it."""
    request = OperationRequest(
        plugin=PLUGIN, operation=f"network {doing.verb}", subject=f"network:{doing.name}", key=str(uuids.uuid4()),
        proposals=in_order(doing.steps), contents=doing.contents, findings=doing.findings, question=doing.question,
        notes={"uuid": doing.uuid},
    )  # fmt: skip
    result = call.perform(request, dry_run=dry_run)
    data = {**result.data, "node": str(doing.node), "network": dict(shown)}
    return Result(data=data, messages=result.messages, errors=result.errors, exit_status=result.exit_status)


def in_order(steps: tuple[StepProposal, ...]) -> tuple[StepProposal, ...]:
    """The same, each after those before it."""
    ids = [one.id for one in steps]
    return tuple(StepProposal(**{**one.__dict__, "after": tuple(ids[:number])}) for number, one in enumerate(steps))


def step(kind: str, node: Node, uuid: str, reason: str, **params: Any) -> StepProposal:
    """A step on the network `uuid` of `node`."""
    about = {"uri": node.uri, "uuid": uuid, **params}
    return StepProposal(id=kind, kind=kind, params=about, reason=reason, deadline=DEADLINE)


def run_each(word: str, commands: Iterable[Command]) -> Iterator[StepProposal]:
    """A step for each command, and for its undo where it has one."""
    for number, one in enumerate(commands):
        params = {"argv": list(one.argv), "undo_argv": list(one.undo) or None}
        name = f"network.{word}:{number}"
        yield StepProposal(id=name, kind="command.run", params=params, reason=one.reason, deadline=DEADLINE)


def unseen(networks: Networks) -> tuple[Message, ...]:
    """What is said of a node whose routes nobody here can see."""
    if networks.node.is_local:
        return ()
    return (Message(NOT_SEEN.format(node=networks.node)),)
