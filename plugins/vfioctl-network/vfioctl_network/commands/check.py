"""`vfioctl network check`: whether what a network needs of this host is there. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import Message, Refused, Result, VfioctlError, argument, frozen, on_node, read_network, read_text
from vfioctl_network.commands.work import NOTHING_CHANGED, Networks, seen
from vfioctl_network.firewall import Demand, Drop, Rule, demands, drops, is_hit, parsed, uses_nftables
from vfioctl_network.wish import NAT, OWN, ROUTED

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Host, Network

DEADLINE = 20.0
FAILED = 1
RELOAD = "Have libvirt write its rules again: systemctl reload libvirtd"
NFTABLES = "libvirt keeps its rules with nftables here: they were not compared, only the policies were read."


@frozen
class Filter:
    """The packet filter as it is. `bridged`: iptables sees what crosses a bridge."""

    rules: tuple[Rule, ...]
    drops: tuple[Drop, ...]
    nftables: bool
    bridged: bool


@click.command()
@click.argument("name", required=False)
@on_node
@click.pass_obj
def check(call: Call, name: str | None, node: str) -> Result:
    """Compare what the network NAME, or every active one, needs of this host with what is there.

    Firewall rules that somebody flushed, another table that drops what is forwarded (as Docker does), ports of guests
    that hang in the air, forwarding that is off, a DHCP server that is gone. The exit status is 1 where something is
    wrong.
    """
    call.need_root()
    with call.connection(node) as connection:
        if not connection.node.is_local:
            said = f"The rules of {connection.node} are there, and cannot be read from here."
            hint = f"Run it on {connection.node}, without --node."
            raise Refused("network.elsewhere", said, state=NOTHING_CHANGED, hints=(hint,))
        networks = seen(connection)
        wanted = (read_network(connection, name),) if name else networks.every
    found = _filter(call.host())
    rows = [_row(call, networks, one, found) for one in wanted if one.active or name]
    wrong = any(row["problems"] for row in rows)
    result = Result(data={"node": str(networks.node), "networks": rows}, exit_status=FAILED if wrong else 0)
    return result.saying(Message(NFTABLES)) if found.nftables else result


def _filter(host: Host) -> Filter:
    ruleset = _said(host, ("nft", "-j", "list", "ruleset"))
    bridged = _number(host, "proc/sys/net/bridge/bridge-nf-call-iptables") == "1"
    return Filter(parsed(_said(host, ("iptables-save",))), drops(ruleset), uses_nftables(ruleset), bridged)


def _said(host: Host, argv: tuple[str, ...]) -> str:
    """What a program that reads the rules prints. Raises Refused("network.unreadable")."""
    hint = "Install iptables and nftables, which libvirt's networks need too."
    try:
        done = host.shown(argv, deadline=DEADLINE)
    except VfioctlError as error:
        raise Refused("network.unreadable", error.message, state=NOTHING_CHANGED, hints=(hint,)) from error
    if not done.ok:
        raise Refused("network.unreadable", f"{done.why()}.", state=NOTHING_CHANGED, hints=(hint,))
    return done.stdout


def _number(host: Host, path: str) -> str:
    return (read_text(host.paths.at(path), follow=True) or "").strip()


def _row(call: Call, networks: Networks, network: Network, found: Filter) -> dict[str, Any]:
    problems = list(_problems(call, networks, network, found))
    return {"name": network.name, "active": network.active, "problems": problems}


def _problems(call: Call, networks: Networks, network: Network, found: Filter) -> Iterator[dict[str, str]]:
    if not network.active:
        hint = f"Start it with: vfioctl network start {argument(network.name)}"
        yield _problem("network.inactive", f"The network {network.name} is not active.", hint)
        return
    yield from _of_host(call, network)
    if not found.nftables:
        yield from _of_rules(network, found.rules)
    yield from _of_drops(network, found)
    yield from _of_ports(call, networks, network)


def _of_host(call: Call, network: Network) -> Iterator[dict[str, str]]:
    """The bridge, forwarding, and the DHCP server: libvirt starts and sets them, and looks at them no more."""
    host = call.host()
    if network.bridge and not os.path.isdir(call.paths.at("sys/class/net", network.bridge)):
        yield _problem("network.interface", f"The bridge {network.bridge} is gone.", _again(network))
    if network.kind in (NAT, ROUTED) and _number(host, "proc/sys/net/ipv4/ip_forward") == "0":
        said = "This host forwards nothing: nobody on the network gets out."
        yield _problem("network.no_forwarding", said, "Switch it on with: sysctl net.ipv4.ip_forward=1")
    if network.kind in OWN and network.subnets and not _serves(host, network.name):
        said = f"The DHCP and DNS server of the network {network.name} does not run."
        yield _problem("network.no_server", said, _again(network))


def _serves(host: Host, name: str) -> bool:
    """Whether the dnsmasq runs whose pid libvirt keeps."""
    pid = _number(host, f"run/libvirt/network/{name}.pid")
    return pid.isdigit() and os.path.exists(os.path.join(host.paths.proc, pid))


def _of_rules(network: Network, rules: tuple[Rule, ...]) -> Iterator[dict[str, str]]:
    missing = [one for one in demands(network) if not one.is_met(rules)]
    if missing:
        what = ", ".join(dict.fromkeys(one.what for one in missing))
        said = f"{len(missing)} rules of the network {network.name} are missing ({_chains(missing)}): {what}."
        yield _problem("network.no_rules", said, _cure(missing))


def _cure(missing: Iterable[Demand]) -> str:
    """libvirt fills its chains again when it is reloaded. A jump to one it makes only where the chain is new."""
    every = tuple(missing)
    jumps = " && ".join(one.command for one in every if one.target)
    return "; then: ".join(filter(None, (RELOAD if any(not one.target for one in every) else "", jumps)))


def _chains(missing: Iterable[Demand]) -> str:
    return ", ".join(sorted({one.chain for one in missing}))


def _of_drops(network: Network, found: Filter) -> Iterator[dict[str, str]]:
    for drop in found.drops:
        if is_hit(network, drop, nftables=found.nftables, bridged=found.bridged):
            where = f"the chain {drop.chain} of the table {drop.family} {drop.table}"
            said = f"What is forwarded to and from the network {network.name} is dropped by {where}."
            hint = f"Let it through there, for {network.bridge}; Docker leaves the chain DOCKER-USER to you."
            yield _problem("network.dropped", said, hint)


def _of_ports(call: Call, networks: Networks, network: Network) -> Iterator[dict[str, str]]:
    """A network that is stopped and started has a new bridge: nobody puts the ports of running guests on it."""
    for port in networks.on(network):
        if not (network.bridge and port.live and port.device):
            continue
        link = call.paths.at("sys/class/net", port.device, "master")
        if not os.path.islink(link) or os.path.basename(os.readlink(link)) != network.bridge:
            said = f"The port {port.device} of the guest {port.guest} is not on {network.bridge}: it is cut off."
            hint = f"Put it back with: ip link set {port.device} master {network.bridge}"
            yield _problem("network.port_lost", said, hint)


def _again(network: Network) -> str:
    name = argument(network.name)
    return f"With its guests off: vfioctl network stop {name}, then vfioctl network start {name}"


def _problem(code: str, text: str, hint: str) -> dict[str, str]:
    return {"code": code, "text": text, "hint": hint}
