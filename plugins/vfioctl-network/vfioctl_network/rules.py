"""Rules that a network misses, tables that drop its packets, and the commands that put things right. Pure.

What repair lets through beside Docker has the network's UUID as its comment, so that it is found again.
"""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import TYPE_CHECKING, argument
from vfioctl_network.firewall import BASES, IPTABLES, PROGRAMS, Demand, chains, demands
from vfioctl_network.problem import Command, Problem
from vfioctl_network.tables import USER_CHAIN, hits, ways

if TYPE_CHECKING:
    from vfioctl.plugin import Network
    from vfioctl_network.firewall import Rule
    from vfioctl_network.tables import Drop, Filter

OPTIONS = {"iifname": "-i", "oifname": "-o"}
TO_DOCKER = "what the guests send and get is to pass Docker's chain"


def lost_rules(network: Network, found: Filter, backend: str) -> Iterator[Problem]:
    """The rules of libvirt that are not there any more."""
    missing = [one for one in demands(network, backend) if not one.is_met(found.rules)]
    if not missing:
        return
    what = ", ".join(dict.fromkeys(one.what for one in missing))
    said = f"The network {network.name} misses {len(missing)} rules of libvirt: {what}."
    hint = f"Put them back with: vfioctl network repair {argument(network.name)}"
    yield Problem(
        "network.no_rules", said, hint, tuple(one.text for one in missing),
        first=tuple(_chains(network, found, backend)), refresh=any(not one.target for one in missing),
        commands=tuple(_jump(one, backend) for one in missing if one.target),
    )  # fmt: skip


def drops(network: Network, found: Filter, backend: str) -> Iterator[Problem]:
    """The chains of others that drop what is forwarded for the network."""
    for drop in hits(network, found, backend):
        where = f"the chain {drop.chain} of the table {drop.family} {drop.table}"
        said = f"What is forwarded to and from the network {network.name} is dropped by {where}."
        if drop.of_iptables and (f"{PROGRAMS[drop.family]} filter", USER_CHAIN) in found.chains:
            hint = f"Let it through in {USER_CHAIN} with: vfioctl network repair {argument(network.name)}"
            commands = tuple(_let_through(network, drop))
            yield Problem("network.dropped", said, hint, commands=commands)
        else:
            yield Problem("network.dropped", said, f"Let it through with: {'; '.join(_by_hand(network, drop))}")


def taken_back(network: Network, rules: tuple[Rule, ...]) -> Iterator[Command]:
    """The commands that take away what `drops` has let through for the network."""
    for one in rules:
        if one.chain == USER_CHAIN and mark(network) in one.text.replace('"', "").split():
            program, _, table = one.table.partition(" ")
            way, rule = (program, "-w", "-t", table), (USER_CHAIN, *one.text.replace('"', "").split())
            back = _unless_there(way, "-I", rule)
            yield Command((*way, "-D", *rule), back, "nobody needs to pass Docker's chain any more")


def _chains(network: Network, found: Filter, backend: str) -> Iterator[Command]:
    """libvirt makes them when it starts, and writes no rule without them; an empty one lets everything by."""
    for family, table, chain in chains(network, backend):
        if (table, chain) in found.chains:
            continue
        if backend == IPTABLES:
            program, _, name = table.partition(" ")
            argv: tuple[str, ...] = (program, "-w", "-t", name, "-N", chain)
        else:
            base = f" {BASES[chain]}" if chain in BASES else ""
            argv = ("nft", f"add table {table}; add chain {table} {chain}{base}")
        yield Command(argv, (), f"libvirt is to find its chain {chain} for {family}")


def _jump(one: Demand, backend: str) -> Command:
    """libvirt makes the jump to a chain of its own only together with the chain, before everything else."""
    reason = f"{one.chain} is to ask {one.target} first"
    if backend != IPTABLES:
        return Command(("nft", f"insert rule {one.table} {one.chain} counter jump {one.target}"), (), reason)
    program, _, table = one.table.partition(" ")
    return _inserted(program, table, (one.chain, "-j", one.target), reason)


def _let_through(network: Network, drop: Drop) -> Iterator[Command]:
    for way in ways(network, drop):
        where = (word for one in way for word in (OPTIONS[one.split()[0]], one.split()[1]))
        rule = (USER_CHAIN, *where, "-m", "comment", "--comment", mark(network), "-j", "ACCEPT")
        yield _inserted(PROGRAMS[drop.family], "filter", rule, TO_DOCKER)


def _by_hand(network: Network, drop: Drop) -> Iterator[str]:
    for way in ways(network, drop):
        if drop.of_iptables:
            where = " ".join(f"{OPTIONS[one.split()[0]]} {one.split()[1]}" for one in way)
            yield f"{PROGRAMS[drop.family]} -I {drop.chain} {where} -j ACCEPT"
        else:
            yield f"nft insert rule {drop.family} {drop.table} {drop.chain} {' '.join(way)} accept"


def _inserted(program: str, table: str, rule: tuple[str, ...], reason: str) -> Command:
    way = (program, "-w", "-t", table)
    return Command((*way, "-I", *rule), _unless_gone(way, rule), reason)


def _unless_gone(way: tuple[str, ...], rule: tuple[str, ...]) -> tuple[str, ...]:
    """An undo that also ends well where there is nothing to undo: iptables would fail."""
    spelled = " ".join(way)
    return ("sh", "-c", f'{spelled} -C "$@" 2>/dev/null || exit 0; {spelled} -D "$@"', "sh", *rule)


def _unless_there(way: tuple[str, ...], verb: str, rule: tuple[str, ...]) -> tuple[str, ...]:
    spelled = " ".join(way)
    return ("sh", "-c", f'{spelled} -C "$@" 2>/dev/null || {spelled} {verb} "$@"', "sh", *rule)


def mark(network: Network) -> str:
    """The comment of the rules that let it through."""
    return f"vfioctl:{network.uuid}"
