"""What the packet filter has: parsed from `iptables-save`, `ip6tables-save` and `nft -j list ruleset`. Pure.

An accept in one table does not save a packet from a drop in another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from vfioctl.plugin import TYPE_CHECKING, frozen
from vfioctl_network.firewall import IP, IP6, NFTABLES, PROGRAMS, Rule, families
from vfioctl_network.wish import ISOLATED, NAT, ROUTED

if TYPE_CHECKING:
    from vfioctl.plugin import Network

FORWARD = "forward"
USER_CHAIN = "DOCKER-USER"  # which Docker asks before its own, and leaves alone
IPTABLES_FORWARD = (IP, "filter", "FORWARD"), (IP6, "filter", "FORWARD")


@frozen
class Drop:
    """A chain of another table whose policy drops what is forwarded."""

    family: str
    table: str
    chain: str

    @property
    def of_iptables(self) -> bool:
        return (self.family, self.table, self.chain) in IPTABLES_FORWARD


@frozen
class Filter:
    """The packet filter as it is: `chains` are (table, chain). `bridged`: iptables sees what crosses a bridge.

    A table is "iptables filter" or "ip6tables nat" as those programs have it, "inet walls" as nft has it.
    """

    rules: tuple[Rule, ...]
    chains: frozenset[tuple[str, str]]
    drops: tuple[Drop, ...]
    bridged: bool = False


def parsed(saved: str, saved6: str, ruleset: str, *, bridged: bool = False) -> Filter:
    """What the three programs print."""
    found = [*_saved(PROGRAMS[IP], saved), *_saved(PROGRAMS[IP6], saved6), *_listed(ruleset)]
    return Filter(
        tuple(one for one in found if isinstance(one, Rule)), frozenset(one for one in found if isinstance(one, tuple)),
        tuple(_drops(ruleset)), bridged,
    )  # fmt: skip


def hits(network: Network, found: Filter, backend: str) -> Iterator[Drop]:
    """The drops that take packets from the guests on `network`, and that nothing in their table keeps from it."""
    for drop in found.drops:
        if _is_hit(network, drop, nftables=backend == NFTABLES, bridged=found.bridged):
            missing = [one for one in ways(network, drop) if not _is_let_through(one, drop, found.rules)]
            if missing:
                yield drop


def ways(network: Network, drop: Drop) -> tuple[tuple[str, ...], ...]:
    """What has to be let through, in nft's words: what the bridge sends and gets, or what crosses it."""
    bridge = network.bridge
    if drop.family == "bridge":
        return ((f"ibrname {bridge}",),)
    if network.kind in (NAT, ROUTED):
        return ((f"iifname {bridge}",), (f"oifname {bridge}",))
    return ((f"iifname {bridge}", f"oifname {bridge}"),)


def _is_hit(network: Network, drop: Drop, *, nftables: bool, bridged: bool) -> bool:
    """Where libvirt uses iptables, its chains accept before the policy of iptables' own chain."""
    if drop.family not in ("bridge", "inet", *families(network)) or not network.bridge:
        return False
    if drop.family == "bridge":
        return network.kind not in (NAT, ROUTED)
    theirs = nftables or not drop.of_iptables
    if network.kind in (NAT, ROUTED):
        return theirs
    return bridged and (theirs or network.kind != ISOLATED)


def _is_let_through(way: tuple[str, ...], drop: Drop, rules: tuple[Rule, ...]) -> bool:
    """Whether a rule without any other condition accepts it: in that chain, or in one that it jumps to always."""
    table = f"{drop.family} {drop.table}"
    own = [one for one in rules if (one.table, one.chain) == (table, drop.chain)]
    chains = {drop.chain, *(one.text.removeprefix("jump ") for one in own if one.text.startswith("jump "))}
    enough = {f"{' '.join(some)} accept" for some in (way, way[:1], way[-1:])}
    return any(
        one.table == table and one.chain in chains and one.text.replace("if ", "ifname ") in enough for one in rules
    )


def _saved(program: str, saved: str) -> Iterator[Rule | tuple[str, str]]:
    table = ""
    for line in saved.splitlines():
        first, _, rest = line.strip().partition(" ")
        if first.startswith("*"):
            table = f"{program} {first[1:]}"
        elif first.startswith(":"):
            yield table, first[1:]
        elif first == "-A":
            chain, _, text = rest.partition(" ")
            yield Rule(table, chain, text)


def _listed(ruleset: str) -> Iterator[Rule | tuple[str, str]]:
    for chain in _objects(ruleset, "chain"):
        yield f"{chain['family']} {chain['table']}", chain["name"]
    for rule in _objects(ruleset, "rule"):
        text = " ".join(filter(None, map(_expression, rule["expr"])))
        yield Rule(f"{rule['family']} {rule['table']}", rule["chain"], text)


def _drops(ruleset: str) -> Iterator[Drop]:
    for one in _objects(ruleset, "chain"):
        if one.get("hook") == FORWARD and one.get("policy") == "drop":
            yield Drop(one["family"], one["table"], one["name"])


def _objects(ruleset: str, sort: str) -> Iterator[dict[str, Any]]:
    for one in json.loads(ruleset or "{}").get("nftables", ()):
        if sort in one:
            yield one[sort]


def _expression(one: dict[str, Any]) -> str:
    """A condition or a verdict as nft writes it; a counter and a comment are neither."""
    (sort, value), *_ = one.items()
    if sort == "match":
        operator = "" if value["op"] in ("==", "in") else f"{value['op']} "
        return f"{_word(value['left'])} {operator}{_word(value['right'])}"
    if sort in ("jump", "goto"):
        return f"{sort} {value['target']}"
    return "" if sort == "counter" or (sort == "xt" and (value or {}).get("name") == "comment") else str(sort)


def _word(value: Any) -> str:
    """A side of a comparison, such as "ip saddr" and "192.168.219.0/24"."""
    match value:
        case {"meta": {"key": key}}:
            return str(key)
        case {"payload": {"protocol": protocol, "field": field}}:
            return f"{protocol} {field}"
        case {"ct": {"key": key}}:
            return f"ct {key}"
        case {"prefix": {"addr": address, "len": length}}:
            return f"{address}/{length}"
        case list():
            return ",".join(sorted(map(str, value)))
    return str(value)
