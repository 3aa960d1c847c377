"""Which packet filter rules a network of libvirt needs, in the words of iptables and of nft. Pure.

libvirt writes them in a dozen chains of its own with iptables (src/network/network_iptables.c), or from 10.4 on, where
network.conf says so, in an nftables table of its own (network_nftables.c).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vfioctl.plugin import TYPE_CHECKING, frozen
from vfioctl_network.wish import ISOLATED, NAT, OWN

if TYPE_CHECKING:
    from vfioctl.plugin import Network

IP, IP6 = FAMILIES = ("ip", "ip6")
IPTABLES, NFTABLES = "iptables", "nftables"
PROGRAMS = {IP: "iptables", IP6: "ip6tables"}
TABLE = "libvirt_network"  # of its nftables backend, one a family
OR = " or "
BACK = "RELATED,ESTABLISHED"
CROSS, INTO, OUT, ASKED, ADDRESS = "cross", "into", "out", "asked", "address"  # what the chains are for
REJECTED = ("reject",)
TRANSLATED = ("masquerade", "snat")  # the second where the network says to which address: <nat><address/></nat>
WALL = "the wall between its guests and others"
# table and chain for each, and which jumps lead there: in the order in which they are put in, each before the others,
# since among guests FWI would reject first
IPTABLES_CHAINS = {
    ASKED: ("filter", "LIBVIRT_INP", "INPUT"), "answers": ("filter", "LIBVIRT_OUT", "OUTPUT"),
    OUT: ("filter", "LIBVIRT_FWO", "FORWARD"), INTO: ("filter", "LIBVIRT_FWI", "FORWARD"),
    CROSS: ("filter", "LIBVIRT_FWX", "FORWARD"), ADDRESS: ("nat", "LIBVIRT_PRT", "POSTROUTING"),
    "sums": ("mangle", "LIBVIRT_PRT", "POSTROUTING"),
}  # fmt: skip
NFTABLES_CHAINS = {OUT: "guest_output", INTO: "guest_input", CROSS: "guest_cross", ADDRESS: "guest_nat"}
BASES = {
    "forward": "{ type filter hook forward priority 0; policy accept; }",
    "guest_nat": "{ type nat hook postrouting priority 100; policy accept; }",
}  # fmt: skip


@frozen
class Rule:
    """A rule of a `chain` of a `table`, as its program writes it: "-i virbr1 -j ACCEPT", "iif virbr1 accept"."""

    table: str
    chain: str
    text: str


@frozen
class Demand:
    """A rule that must be there, with all of `parts`; where one says "A or B", either. `what` does not work without it.

    libvirt makes the jump to the chain `target` only together with that chain, and the chain only when it starts.
    """

    family: str
    table: str
    chain: str
    parts: tuple[str, ...]
    what: str
    target: str = ""

    @property
    def text(self) -> str:
        """Where it is missed, and how it reads."""
        return f"{self.table} {self.chain}: {' '.join(self.parts)}"

    def is_met(self, rules: Iterable[Rule]) -> bool:
        return any(
            (one.table, one.chain) == (self.table, self.chain)
            and all(any(f" {each} " in f" {one.text} " for each in part.split(OR)) for part in self.parts)
            for one in rules
        )  # fmt: skip


@frozen
class Need:
    """What a network needs, in nobody's words: that what comes in at `enters` or leaves at `leaves` is let by."""

    role: str
    what: str
    family: str = IP
    enters: str = ""
    leaves: str = ""
    source: str = ""
    to: str = ""
    beyond: str = ""  # every destination but this one
    answers: bool = False  # only what belongs to a connection that is there
    protocol: str = ""
    port: int = 0
    verdicts: tuple[str, ...] = ("accept",)  # one of them


def demands(network: Network, backend: str) -> Iterator[Demand]:
    """What an active network with addresses of its own needs; one on a bridge or a card of the host needs nothing."""
    if network.kind not in OWN or not network.bridge:
        return
    for family in families(network):
        yield from _jumps(family, backend)
    spelled = _in_iptables if backend == IPTABLES else _in_nft
    for need in _needs(network):
        if backend == IPTABLES or need.role != ASKED:  # libvirt's nftables rules leave what the host is asked alone
            yield spelled(need)


def chains(network: Network, backend: str) -> Iterator[tuple[str, str, str]]:
    """The chains that libvirt makes when it starts, as (family, table, name): without them it writes no rule."""
    for family in families(network):
        if backend == IPTABLES:
            yield from ((family, _table(family, table), chain) for table, chain, _ in IPTABLES_CHAINS.values())
        else:
            yield from ((family, f"{family} {TABLE}", chain) for chain in ("forward", *NFTABLES_CHAINS.values()))


def families(network: Network) -> tuple[str, ...]:
    """The families of its addresses; libvirt has rules for IPv4 always."""
    return FAMILIES if any(":" in one.gateway for one in network.subnets) else (IP,)


def _jumps(family: str, backend: str) -> Iterator[Demand]:
    what = "what libvirt lets through"
    for role, (table, target, chain) in IPTABLES_CHAINS.items():
        if backend == IPTABLES:
            yield Demand(family, _table(family, table), chain, (f"-j {target}",), what, target)
        elif role in (OUT, INTO, CROSS):
            at = NFTABLES_CHAINS[role]
            yield Demand(family, f"{family} {TABLE}", "forward", (f"jump {at}",), what, at)


def _needs(network: Network) -> Iterator[Need]:
    bridge = network.bridge
    for family in families(network):
        yield Need(CROSS, "guests among each other", family, bridge, bridge)
        yield Need(OUT, WALL, family, enters=bridge, verdicts=REJECTED)
        yield Need(INTO, WALL, family, leaves=bridge, verdicts=REJECTED)
        for protocol, port, what in (("udp", 53, "DNS"), ("udp", 67 if family == IP else 547, "DHCP")):
            yield Need(ASKED, what, family, enters=bridge, protocol=protocol, port=port)
    for subnet in network.subnets if network.kind != ISOLATED else ():
        family, cidr = IP6 if ":" in subnet.gateway else IP, subnet.cidr
        translated = network.kind == NAT and family == IP  # of IPv6 only where the network asks for it
        yield Need(OUT, "the way out", family, enters=bridge, source=cidr)
        yield Need(INTO, "the way back in", family, leaves=bridge, to=cidr, answers=translated)
        if translated:
            yield Need(ADDRESS, "the address of the host", source=cidr, beyond=cidr, verdicts=TRANSLATED)


def _in_iptables(need: Need) -> Demand:
    table, chain, _ = IPTABLES_CHAINS[need.role]
    words = (
        need.source and f"-s {need.source}", need.to and f"-d {need.to}", need.beyond and f"! -d {need.beyond}",
        need.enters and f"-i {need.enters}", need.leaves and f"-o {need.leaves}",
        need.protocol and f"-p {need.protocol}", f"--dport {need.port}" if need.port else "",
        f"--ctstate {BACK}" if need.answers else "", OR.join(f"-j {one.upper()}" for one in need.verdicts),
    )  # fmt: skip
    return Demand(need.family, _table(need.family, table), chain, tuple(filter(None, words)), need.what)


def _in_nft(need: Need) -> Demand:
    family = need.family
    words = (
        need.source and f"{family} saddr {need.source}", need.to and f"{family} daddr {need.to}",
        need.beyond and f"{family} daddr != {need.beyond}",
        need.enters and f"iif {need.enters}", need.leaves and f"oif {need.leaves}",
        "ct state established,related" if need.answers else "", OR.join(need.verdicts),
    )  # fmt: skip
    return Demand(family, f"{family} {TABLE}", NFTABLES_CHAINS[need.role], tuple(filter(None, words)), need.what)


def _table(family: str, table: str) -> str:
    return f"{PROGRAMS[family]} {table}"
