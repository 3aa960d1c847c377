"""`vfioctl network start`, `stop`, `autostart` and `delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Message,
    Question,
    Result,
    address_conflicts,
    asking,
    changing,
    content_name,
    network_names,
    read_network,
)
from vfioctl_network.commands.show import row
from vfioctl_network.commands.work import (
    Doing,
    Networks,
    interfaces,
    others,
    perform,
    run_each,
    seen,
    step,
    unseen,
)
from vfioctl_network.problems import docker_rules
from vfioctl_network.rules import mark, taken_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vfioctl.plugin import Call, Finding, Network, StepProposal
    from vfioctl_network.problem import Command

LOSS = "network.unconfirmed_delete"
DOCKER = "docker0"
UNREAD = """\
Only root can see whether `network repair` let {name} through beside Docker; then rules with the comment {mark} stay: \
sudo iptables -S DOCKER-USER."""


@click.command()
@click.argument("name", shell_complete=network_names)
@changing
@click.pass_obj
def start(call: Call, name: str, node: str, *, dry_run: bool) -> Result:
    """Start the network NAME. Its addresses must be free by now: routes come and go."""
    networks, network = _found(call, name, node)
    taken = others(call, networks, but=network.uuid)
    findings = tuple(found for one in network.subnets for found in address_conflicts(one.cidr, taken))
    steps = (step("network.start", networks.node, network.uuid, "guests are to start on it"),)
    result = _done(call, "start", networks, network, steps, findings=findings, dry_run=dry_run, active=True)
    return result.saying(*unseen(networks))


@click.command()
@click.argument("name", shell_complete=network_names)
@changing
@click.pass_obj
def stop(call: Call, name: str, node: str, *, dry_run: bool) -> Result:
    """Stop the network NAME. It is refused while a guest runs on it, which would be cut off for good."""
    networks, network = _found(call, name, node)
    steps = (step("network.stop", networks.node, network.uuid, "nobody is to be on it"),)
    return _done(call, "stop", networks, network, steps, dry_run=dry_run, active=False)


@click.command()
@click.argument("name", shell_complete=network_names)
@click.option("--off", is_flag=True, help="Do not start it with libvirt.")
@changing
@click.pass_obj
def autostart(call: Call, name: str, node: str, *, off: bool, dry_run: bool) -> Result:
    """Have the network NAME start with libvirt, or not any more."""
    networks, network = _found(call, name, node)
    reason = "it is to start by hand only" if off else "guests are to find it after a restart of the host"
    steps = (step("network.autostart", networks.node, network.uuid, reason, on=not off, former=network.autostart),)
    return _done(call, "autostart", networks, network, steps, dry_run=dry_run, autostart=not off)


@click.command()
@click.argument("name", shell_complete=network_names)
@asking
@changing
@click.pass_obj
def delete(call: Call, name: str, node: str, *, yes: bool, dry_run: bool) -> Result:
    """Delete the network NAME, which is stopped first. It is refused while a guest is configured with it.

    With it go its leases and DNS names, and what `network repair` has let through beside Docker. A bridge or a card of
    the host stays.
    """
    networks, network = _found(call, name, node)
    if yes:
        call.agree(LOSS)
    xml = network.xml.encode()
    blob = content_name(xml)
    stops = (step("network.stop", networks.node, network.uuid, "it is to go"),) if network.active else ()
    gone = step(
        "network.delete", networks.node, network.uuid, "nobody needs it", blob=blob, autostart=network.autostart,
        stops=network.active,
    )  # fmt: skip
    passed = tuple(run_each("passed", _let_through(call, networks, network)))
    question = Question(LOSS, tuple(_losses(network)))
    steps = (*passed, *stops, gone)
    return _done(
        call, "delete", networks, network, steps, contents={blob: xml}, question=question, dry_run=dry_run
    ).saying(*_unread(call, networks, network))


def _found(call: Call, name: str, node: str) -> tuple[Networks, Network]:
    with call.connection(node) as connection:
        return seen(connection), read_network(connection, name)


def _done(
    call: Call, verb: str, networks: Networks, network: Network, steps: tuple[StepProposal, ...], *,
    contents: Mapping[str, bytes] | None = None, findings: tuple[Finding, ...] = (), question: Question | None = None,
    dry_run: bool, **becomes: bool,
) -> Result:  # fmt: skip
    """The result; `becomes` is what of the network is otherwise after it."""
    doing = Doing(verb, networks.node, network.name, network.uuid, steps, contents or {}, findings, question)
    return perform(call, doing, {**row(networks, network), **becomes}, dry_run=dry_run)


def _let_through(call: Call, networks: Networks, network: Network) -> Iterator[Command]:
    """What takes away what `network repair` has let through beside Docker. Only root can look for it."""
    if networks.node.is_local and call.administers:
        yield from taken_back(network, docker_rules(call.host()))


def _unread(call: Call, networks: Networks, network: Network) -> Iterator[Message]:
    if networks.node.is_local and not call.administers and DOCKER in interfaces(call, networks.node):
        yield Message(UNREAD.format(name=network.name, mark=mark(network)))


def _losses(network: Network) -> list[str]:
    kept = sum(len(one.leases) for one in network.subnets)
    counted = ((kept, "kept lease"), (len(network.names), "DNS name"))
    more = [f"{count} {what}{'s' * (count != 1)}" for count, what in counted if count]
    return [f"The network {network.name} will be deleted{', with ' + ' and '.join(more) if more else ''}."]
