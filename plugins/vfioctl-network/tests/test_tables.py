"""Whose drops take packets from the guests of a network, and what keeps them from it."""

from __future__ import annotations

import pytest
from rulesets import ACCEPT, chain, meta, network, rule, ruleset
from vfioctl_network.firewall import IPTABLES, NFTABLES
from vfioctl_network.rules import drops
from vfioctl_network.tables import Drop, hits, parsed

DOCKER = ("ip", "filter", "FORWARD")
DOCKER6 = ("ip6", "filter", "FORWARD")
WALLS = ("inet", "walls", "forward")
BRIDGED = ("bridge", "b", "forward")
JUMP = rule("ip", "FORWARD", {"jump": {"target": "DOCKER-USER"}}, table="filter")
COMMENT, LIMIT = ({"xt": {"type": "match", "name": name}} for name in ("comment", "limit"))  # as iptables has them
BOTH = ("iifname", "oifname")
USER = "*filter\n:DOCKER-USER - [0:0]\n"


def hit(kind: str, where: tuple[str, str, str], *more, backend=NFTABLES, bridged=False, ipv6=True) -> bool:
    found = parsed("", "", ruleset(chain(*where, "drop"), *more), bridged=bridged)
    return list(hits(network(kind, ipv6=ipv6), found, backend)) == [Drop(*where)]


def test_only_a_policy_that_drops_counts():
    assert parsed("", "", ruleset(chain(*DOCKER, "accept"))).drops == ()
    assert parsed("", "", "").drops == ()


@pytest.mark.parametrize(("kind", "where", "backend", "bridged", "expected"), [
    ("nat", DOCKER, IPTABLES, False, False),  # its chains accept before that policy
    ("nat", DOCKER, NFTABLES, False, True),
    ("nat", DOCKER6, NFTABLES, False, True),
    ("routed", WALLS, IPTABLES, False, True),
    ("nat", BRIDGED, NFTABLES, True, False),
    ("bridge", DOCKER, IPTABLES, True, True),
    ("bridge", DOCKER, IPTABLES, False, False),
    ("bridge", BRIDGED, IPTABLES, False, True),
    ("isolated", DOCKER, IPTABLES, True, False),
    ("isolated", DOCKER, NFTABLES, True, True),
    ("isolated", WALLS, NFTABLES, False, False),
])  # fmt: skip
def test_whose_packets_a_drop_takes(kind, where, backend, bridged, expected):
    assert hit(kind, where, backend=backend, bridged=bridged) is expected


def test_a_drop_of_ipv6_takes_nothing_from_a_network_without_it():
    assert not hit("nat", DOCKER6, ipv6=False)


def accepting(*conditions, at: str = "DOCKER-USER"):
    return rule("ip", at, *conditions, ACCEPT, table="filter")


@pytest.mark.parametrize(("more", "expected"), [
    ((JUMP, accepting(meta("iifname")), accepting(meta("oifname"))), False),
    ((JUMP, accepting(meta("iif")), accepting(meta("oif"))), False),
    ((JUMP, accepting(meta("iifname"), COMMENT), accepting(meta("oifname"), COMMENT)), False),
    ((JUMP, accepting(meta("iifname"), LIMIT), accepting(meta("oifname"), LIMIT)), True),
    ((accepting(meta("iifname"), at="FORWARD"), accepting(meta("oifname"), at="FORWARD")), False),
    ((JUMP, accepting(meta("iifname"))), True),  # nothing comes back
    ((accepting(meta("iifname")), accepting(meta("oifname"))), True),  # nobody asks that chain
    ((JUMP, accepting(meta("iifname", "virbr10")), accepting(meta("oifname", "virbr10"))), True),
    ((JUMP, accepting(meta("iifname"), meta("oifname", "eth0")), accepting(meta("oifname"))), True),
])  # fmt: skip
def test_what_is_let_through_both_ways_is_not_dropped(more, expected):
    assert hit("nat", DOCKER, *more) is expected


def test_what_crosses_a_bridge_is_let_through_by_one_rule():
    assert not hit("bridge", DOCKER, JUMP, accepting(meta("iifname"), meta("oifname")), bridged=True)


def told(kind: str, where: tuple[str, str, str], saved: str = "", *, bridged: bool = False):
    found = parsed(saved, "", ruleset(chain(*where, "drop")), bridged=bridged)
    (problem,) = drops(network(kind), found, NFTABLES)
    return problem


def test_beside_docker_its_own_chain_lets_the_network_through():
    problem = told("nat", DOCKER, USER)
    assert problem.hint == "Let it through in DOCKER-USER with: vfioctl network repair lab"
    assert [" ".join(one.argv) for one in problem.commands] == [
        f"iptables -w -t filter -I DOCKER-USER {way} virbr1 -m comment --comment vfioctl:u -j ACCEPT"
        for way in ("-i", "-o")
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "where", "hint"), [
    ("nat", DOCKER, "iptables -I FORWARD -i virbr1 -j ACCEPT; iptables -I FORWARD -o virbr1 -j ACCEPT"),
    ("nat", WALLS, "; ".join(f"nft insert rule inet walls forward {way} virbr1 accept" for way in BOTH)),
    ("bridge", WALLS, "nft insert rule inet walls forward iifname virbr1 oifname virbr1 accept"),
    ("bridge", BRIDGED, "nft insert rule bridge b forward ibrname virbr1 accept"),
])  # fmt: skip
def test_elsewhere_the_command_is_said_and_nothing_is_touched(kind, where, hint):
    problem = told(kind, where, bridged=True)
    assert (problem.hint, problem.is_mended) == (f"Let it through with: {hint}", False)
