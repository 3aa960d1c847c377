"""Which rules a network needs, and whose drop hits it."""

from __future__ import annotations

import json

import pytest
from vfioctl_network.firewall import Drop, demands, drops, is_hit, parsed, uses_nftables

from vfioctl.virt.networks import Network, Subnet

SAVED = """*mangle
-A LIBVIRT_PRT -o virbr1 -p udp -m udp --dport 68 -j CHECKSUM --checksum-fill
COMMIT
*filter
:FORWARD ACCEPT [0:0]
-A INPUT -j LIBVIRT_INP
-A FORWARD -j LIBVIRT_FWX
-A FORWARD -j LIBVIRT_FWI
-A FORWARD -j LIBVIRT_FWO
-A OUTPUT -j LIBVIRT_OUT
-A LIBVIRT_FWI -d 192.168.7.0/24 -o virbr1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A LIBVIRT_FWI -o virbr1 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWO -s 192.168.7.0/24 -i virbr1 -j ACCEPT
-A LIBVIRT_FWX -i virbr1 -o virbr1 -j ACCEPT
-A LIBVIRT_INP -i virbr1 -p udp -m udp --dport 53 -j ACCEPT
-A LIBVIRT_INP -i virbr1 -p udp -m udp --dport 67 -j ACCEPT
COMMIT
*nat
-A POSTROUTING -j LIBVIRT_PRT
-A LIBVIRT_PRT -s 192.168.7.0/24 ! -d 192.168.7.0/24 -j MASQUERADE
COMMIT
"""
DOCKER = Drop("ip", "filter", "FORWARD")
OWN_TABLE = Drop("inet", "firewall", "forward")


def network(kind: str, bridge: str = "virbr1") -> Network:
    subnets = (Subnet("192.168.7.1", 24), Subnet("fd00:7::1", 64)) if kind in ("nat", "routed", "isolated") else ()
    return Network("u", "lab", active=True, persistent=True, autostart=True, kind=kind, bridge=bridge, subnets=subnets)


def missing(kind: str, saved: str) -> list[str]:
    return [one.what for one in demands(network(kind)) if not one.is_met(parsed(saved))]


@pytest.mark.parametrize("kind", ["nat", "isolated", "bridge", "macvtap"])
def test_what_libvirt_writes_is_all_that_is_needed(kind: str):
    assert missing(kind, SAVED) == []


@pytest.mark.parametrize("line", [line for line in SAVED.splitlines() if line.startswith("-A") and "68" not in line
                                  and "REJECT" not in line])  # fmt: skip
def test_each_rule_is_missed(line: str):
    assert len(missing("nat", SAVED.replace(f"{line}\n", ""))) == 1


def test_a_rule_of_another_network_or_table_does_not_count():
    assert "guests among each other" in missing("nat", SAVED.replace("virbr1", "virbr10"))
    assert "the address of the host" in missing("nat", SAVED.replace("*nat", "*mangle"))


def test_others_get_to_a_routed_network_by_themselves():
    assert missing("routed", SAVED) == []
    assert "the way back in" in missing("routed", SAVED.replace("-d 192.168.7.0/24 -o", "-d 192.168.8.0/24 -o"))


def ruleset(*chains: tuple[str, str, str, str]) -> str:
    keys = ("family", "table", "name", "policy")
    return json.dumps({"nftables": [
        {"table": {"family": "ip", "name": "libvirt_network"}},
        {"chain": {"family": "ip", "table": "filter", "name": "LIBVIRT_INP"}},
        *({"chain": {**dict(zip(keys, chain, strict=True)), "hook": "forward"}} for chain in chains),
    ]})  # fmt: skip


def test_the_policies_of_every_table_are_read():
    assert drops(ruleset(("ip", "filter", "FORWARD", "drop"), ("inet", "own", "forward", "accept"))) == (DOCKER,)
    assert drops("") == ()


def test_libvirts_own_table_is_recognised():
    assert uses_nftables(ruleset())
    assert not uses_nftables('{"nftables": [{"table": {"family": "ip", "name": "filter"}}]}')


@pytest.mark.parametrize(("kind", "drop", "nftables", "bridged", "hit"), [
    ("nat", DOCKER, False, False, False),  # its chains accept before that policy
    ("nat", DOCKER, True, False, True),
    ("routed", OWN_TABLE, False, False, True),
    ("nat", Drop("ip6", "filter", "FORWARD"), True, True, False),
    ("nat", Drop("bridge", "b", "forward"), True, True, False),
    ("bridge", DOCKER, False, True, True),
    ("bridge", DOCKER, False, False, False),
    ("bridge", Drop("bridge", "b", "forward"), False, False, True),
    ("isolated", DOCKER, True, True, False),
])  # fmt: skip
def test_whose_packets_a_drop_takes(kind: str, drop: Drop, *, nftables: bool, bridged: bool, hit: bool):
    assert is_hit(network(kind), drop, nftables=nftables, bridged=bridged) is hit
