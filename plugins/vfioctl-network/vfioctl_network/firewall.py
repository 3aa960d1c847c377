"""Which packet filter rules a network of libvirt needs, and which are there. Pure.

libvirt writes them with iptables until 10.3 (src/network/network_iptables.c); from 10.4 on mostly as an nftables table
of its own, which is recognised and not judged. An accept in one table does not save a packet from a drop in another.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from vfioctl.plugin import TYPE_CHECKING, frozen
from vfioctl_network.wish import ISOLATED, NAT, OWN, ROUTED

if TYPE_CHECKING:
    from vfioctl.plugin import Network

FORWARD = "forward"
LIBVIRT_TABLE = "libvirt_network"  # of its nftables backend
JUMPS = (  # in the order in which they are put in again, each before the others: among guests FWI would reject first
    ("filter", "INPUT", "LIBVIRT_INP"), ("filter", "OUTPUT", "LIBVIRT_OUT"), ("filter", "FORWARD", "LIBVIRT_FWO"),
    ("filter", "FORWARD", "LIBVIRT_FWI"), ("filter", "FORWARD", "LIBVIRT_FWX"),
)  # fmt: skip


@frozen
class Rule:
    """A rule of `table`, as iptables-save writes it."""

    table: str
    text: str


@frozen
class Demand:
    """A rule that must be there: in `chain`, with all of `parts`. `what` does not work without it."""

    table: str
    chain: str
    parts: tuple[str, ...]
    what: str
    target: str = ""  # of a jump to a chain of libvirt's: it makes these only together with the chain itself

    def is_met(self, rules: Iterable[Rule]) -> bool:
        wanted = (f"-A {self.chain} ", *self.parts)
        return any(one.table == self.table and all(part in f"{one.text} " for part in wanted) for one in rules)


@frozen
class Drop:
    """A chain of another table whose policy drops what is forwarded."""

    family: str
    table: str
    chain: str


def parsed(saved: str) -> tuple[Rule, ...]:
    """The rules that `iptables-save` prints."""
    found, table = [], ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith("-A "):
            found.append(Rule(table, line.strip()))
    return tuple(found)


def demands(network: Network) -> Iterator[Demand]:
    """What an active network with addresses of its own needs; one on a bridge or a card of the host needs nothing."""
    bridge = network.bridge
    if network.kind not in OWN or not bridge:
        return
    for table, chain, target in JUMPS:
        yield Demand(table, chain, (f"-j {target} ",), "what libvirt lets through", target)
    yield Demand("filter", "LIBVIRT_FWX", (f"-i {bridge} ", f"-o {bridge} ", "-j ACCEPT "), "guests among each other")
    for protocol, port, what in (("udp", 53, "DNS"), ("udp", 67, "DHCP")):
        yield Demand("filter", "LIBVIRT_INP", (f"-i {bridge} ", f"-p {protocol} ", f"--dport {port} "), what)
    for subnet in network.subnets:
        if ":" not in subnet.gateway:
            yield from _of_subnet(network.kind, bridge, subnet.cidr)


def drops(ruleset: str) -> tuple[Drop, ...]:
    """The chains of every table whose policy drops what is forwarded, in what `nft -j list ruleset` prints."""
    return tuple(
        Drop(one["family"], one["table"], one["name"]) for one in _objects(ruleset, "chain")
        if one.get("hook") == FORWARD and one.get("policy") == "drop"
    )  # fmt: skip


def uses_nftables(ruleset: str) -> bool:
    """Whether libvirt keeps its rules in an nftables table of its own."""
    return any(one.get("name") == LIBVIRT_TABLE for one in _objects(ruleset, "table"))


def is_hit(network: Network, drop: Drop, *, nftables: bool, bridged: bool) -> bool:
    """Whether `drop` takes packets from the guests on `network`.

    Where libvirt uses iptables, its chains accept them before that chain's own policy; `bridged`: the kernel shows
    what crosses a bridge to iptables too (net.bridge.bridge-nf-call-iptables).
    """
    if drop.family in ("ip6", "arp", "netdev"):
        return False
    if network.kind in (NAT, ROUTED):
        return drop.family != "bridge" and (nftables or (drop.family, drop.table) != ("ip", "filter"))
    return drop.family == "bridge" or (network.kind != ISOLATED and bool(network.bridge) and bridged)


def _of_subnet(kind: str, bridge: str, cidr: str) -> Iterator[Demand]:
    if kind == ISOLATED:
        return
    back = "RELATED,ESTABLISHED" if kind == NAT else "-j ACCEPT"
    yield Demand("filter", "LIBVIRT_FWO", (f"-s {cidr} ", f"-i {bridge} ", "-j ACCEPT "), "the way out")
    yield Demand("filter", "LIBVIRT_FWI", (f"-d {cidr} ", f"-o {bridge} ", back), "the way back in")
    if kind == NAT:
        yield Demand("nat", "POSTROUTING", ("-j LIBVIRT_PRT ",), "the address of the host", "LIBVIRT_PRT")
        yield Demand("nat", "LIBVIRT_PRT", (f"-s {cidr} ", f"! -d {cidr} ", "MASQUERADE"), "the address of the host")


def _objects(ruleset: str, sort: str) -> Iterator[dict[str, Any]]:
    for one in json.loads(ruleset or "{}").get("nftables", ()):
        if sort in one:
            yield one[sort]
