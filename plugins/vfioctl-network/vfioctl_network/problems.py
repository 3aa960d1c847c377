"""What an active network has lost on this host, and what would mend it. Reads only.

libvirt sets all of it up when the network starts, and looks at none of it any more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from vfioctl.plugin import Refused, VfioctlError, argument, frozen, read_text
from vfioctl_network.addresses import NOTHING_CHANGED
from vfioctl_network.firewall import Demand, Drop, Rule, demands, drops, is_hit, parsed, uses_nftables
from vfioctl_network.wish import NAT, OWN, ROUTED

if TYPE_CHECKING:
    from vfioctl.plugin import Host, Network, Port

DEADLINE = 20.0
FORWARDING = "net.ipv4.ip_forward"


@frozen
class Command:
    """A program that mends something, and the one that takes that back."""

    argv: tuple[str, ...]
    undo: tuple[str, ...]
    reason: str


@frozen
class Problem:
    """Something that is wrong. `refresh`: libvirt has to write its rules again; `commands` come after that.

    Where there is neither, `vfioctl network repair` cannot mend it.
    """

    code: str
    text: str
    hint: str
    refresh: bool = False
    commands: tuple[Command, ...] = ()

    @property
    def is_mended(self) -> bool:
        return self.refresh or bool(self.commands)


@frozen
class Filter:
    """The packet filter as it is. `bridged`: iptables sees what crosses a bridge."""

    rules: tuple[Rule, ...]
    drops: tuple[Drop, ...]
    nftables: bool
    bridged: bool


def packet_filter(host: Host) -> Filter:
    """The rules and policies of every table. Raises Refused("network.unreadable")."""
    ruleset = _said(host, ("nft", "-j", "list", "ruleset"))
    bridged = _value(host, "proc/sys/net/bridge/bridge-nf-call-iptables") == "1"
    return Filter(parsed(_said(host, ("iptables-save",))), drops(ruleset), uses_nftables(ruleset), bridged)


def problems(host: Host, network: Network, ports: Iterable[Port], found: Filter) -> Iterator[Problem]:
    """Everything that is wrong with `network`, on which the interfaces `ports` of guests are."""
    if not network.active:
        hint = f"Start it with: vfioctl network start {argument(network.name)}"
        yield Problem("network.inactive", f"The network {network.name} is not active.", hint)
        return
    yield from _of_host(host, network)
    if not found.nftables:
        yield from _of_rules(network, found.rules)
    yield from _of_drops(network, found)
    yield from _of_ports(host, network, ports)


def _said(host: Host, argv: tuple[str, ...]) -> str:
    hint = "Install iptables and nftables, which libvirt's networks need too."
    try:
        done = host.shown(argv, deadline=DEADLINE)
    except VfioctlError as error:
        raise Refused("network.unreadable", error.message, state=NOTHING_CHANGED, hints=(hint,)) from error
    if not done.ok:
        raise Refused("network.unreadable", f"{done.why()}.", state=NOTHING_CHANGED, hints=(hint,))
    return done.stdout


def _value(host: Host, path: str) -> str:
    return (read_text(host.paths.at(path), follow=True) or "").strip()


def _of_host(host: Host, network: Network) -> Iterator[Problem]:
    """The bridge, forwarding, and the DHCP server."""
    if network.bridge and not os.path.isdir(host.paths.at("sys/class/net", network.bridge)):
        yield Problem("network.interface", f"The bridge {network.bridge} is gone.", _again(network))
    if network.kind in (NAT, ROUTED) and _value(host, "proc/sys/net/ipv4/ip_forward") == "0":
        on, off = (("sysctl", "-q", "-w", f"{FORWARDING}={number}") for number in (1, 0))
        said = "This host forwards nothing: nobody on the network gets out."
        hint = f"Switch it on with: sysctl {FORWARDING}=1"
        command = Command(on, off, "this host is to forward what guests send")
        yield Problem("network.no_forwarding", said, hint, commands=(command,))
    if network.kind in OWN and network.subnets and not _serves(host, network.name):
        said = f"The DHCP and DNS server of the network {network.name} does not run."
        yield Problem("network.no_server", said, _again(network))


def _serves(host: Host, name: str) -> bool:
    """Whether the dnsmasq runs whose pid libvirt keeps."""
    pid = _value(host, f"run/libvirt/network/{name}.pid")
    return pid.isdigit() and os.path.exists(os.path.join(host.paths.proc, pid))


def _of_rules(network: Network, rules: tuple[Rule, ...]) -> Iterator[Problem]:
    missing = [one for one in demands(network) if not one.is_met(rules)]
    if missing:
        what = ", ".join(dict.fromkeys(one.what for one in missing))
        chains = ", ".join(sorted({one.chain for one in missing}))
        said = f"{len(missing)} rules of the network {network.name} are missing ({chains}): {what}."
        jumps = tuple(map(_jump, (one for one in missing if one.target)))
        refresh = any(not one.target for one in missing)
        hint = f"Put them back with: vfioctl network repair {argument(network.name)}"
        yield Problem("network.no_rules", said, hint, refresh, jumps)


def _jump(one: Demand) -> Command:
    """libvirt makes the jump to a chain of its own only together with the chain, before everything else."""
    way = ("iptables", "-w", "-t", one.table)
    jump = (one.chain, "-j", one.target)
    return Command((*way, "-I", *jump), (*way, "-D", *jump), f"{one.chain} is to ask {one.target} first")


def _of_drops(network: Network, found: Filter) -> Iterator[Problem]:
    for drop in found.drops:
        if is_hit(network, drop, nftables=found.nftables, bridged=found.bridged):
            where = f"the chain {drop.chain} of the table {drop.family} {drop.table}"
            said = f"What is forwarded to and from the network {network.name} is dropped by {where}."
            hint = f"Let it through there, for {network.bridge}; Docker leaves the chain DOCKER-USER to you."
            yield Problem("network.dropped", said, hint)


def _of_ports(host: Host, network: Network, ports: Iterable[Port]) -> Iterator[Problem]:
    """A network that is stopped and started has a new bridge: nobody puts the ports of running guests on it."""
    for port in ports:
        if not (network.bridge and port.live and port.device):
            continue
        link = host.paths.at("sys/class/net", port.device, "master")
        if not os.path.islink(link) or os.path.basename(os.readlink(link)) != network.bridge:
            said = f"The port {port.device} of the guest {port.guest} is not on {network.bridge}: it is cut off."
            on = ("ip", "link", "set", port.device, "master", network.bridge)
            off = ("ip", "link", "set", port.device, "nomaster")
            command = Command(on, off, f"the guest {port.guest} is to be on its network again")
            yield Problem("network.port_lost", said, f"Put it back with: {' '.join(on)}", commands=(command,))


def _again(network: Network) -> str:
    name = argument(network.name)
    return f"With its guests off: vfioctl network stop {name}, then vfioctl network start {name}"
