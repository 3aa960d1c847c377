"""What `iptables-save`, `ip6tables-save` and `nft -j list ruleset` print for one network: of libvirt 9.0 and 11.3."""

from __future__ import annotations

import json
from typing import Any

from vfioctl.virt.networks import Network, Subnet

SAVED = """*mangle
:LIBVIRT_PRT - [0:0]
-A POSTROUTING -j LIBVIRT_PRT
-A LIBVIRT_PRT -o virbr1 -p udp -m udp --dport 68 -j CHECKSUM --checksum-fill
COMMIT
*filter
:FORWARD ACCEPT [0:0]
:LIBVIRT_INP - [0:0]
:LIBVIRT_OUT - [0:0]
:LIBVIRT_FWO - [0:0]
:LIBVIRT_FWI - [0:0]
:LIBVIRT_FWX - [0:0]
-A INPUT -j LIBVIRT_INP
-A FORWARD -j LIBVIRT_FWX
-A FORWARD -j LIBVIRT_FWI
-A FORWARD -j LIBVIRT_FWO
-A OUTPUT -j LIBVIRT_OUT
-A LIBVIRT_FWI -d 192.168.7.0/24 -o virbr1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A LIBVIRT_FWI -o virbr1 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWO -s 192.168.7.0/24 -i virbr1 -j ACCEPT
-A LIBVIRT_FWO -i virbr1 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWX -i virbr1 -o virbr1 -j ACCEPT
-A LIBVIRT_INP -i virbr1 -p udp -m udp --dport 53 -j ACCEPT
-A LIBVIRT_INP -i virbr1 -p udp -m udp --dport 67 -j ACCEPT
COMMIT
*nat
:LIBVIRT_PRT - [0:0]
-A POSTROUTING -j LIBVIRT_PRT
-A LIBVIRT_PRT -s 192.168.7.0/24 ! -d 192.168.7.0/24 -j MASQUERADE
COMMIT
"""
SAVED6 = """*mangle
:LIBVIRT_PRT - [0:0]
-A POSTROUTING -j LIBVIRT_PRT
COMMIT
*filter
:LIBVIRT_INP - [0:0]
-A INPUT -j LIBVIRT_INP
-A FORWARD -j LIBVIRT_FWX
-A FORWARD -j LIBVIRT_FWI
-A FORWARD -j LIBVIRT_FWO
-A OUTPUT -j LIBVIRT_OUT
-A LIBVIRT_FWI -d fd00:7::/64 -o virbr1 -j ACCEPT
-A LIBVIRT_FWI -o virbr1 -j REJECT --reject-with icmp6-port-unreachable
-A LIBVIRT_FWO -s fd00:7::/64 -i virbr1 -j ACCEPT
-A LIBVIRT_FWO -i virbr1 -j REJECT --reject-with icmp6-port-unreachable
-A LIBVIRT_FWX -i virbr1 -o virbr1 -j ACCEPT
-A LIBVIRT_INP -i virbr1 -p udp -m udp --dport 547 -j ACCEPT
-A LIBVIRT_INP -i virbr1 -p udp -m udp --dport 53 -j ACCEPT
COMMIT
*nat
-A POSTROUTING -j LIBVIRT_PRT
COMMIT
"""
COUNTER = {"counter": {"packets": 0, "bytes": 0}}
ACCEPT, REJECT = {"accept": None}, {"reject": {"type": "icmp", "expr": "port-unreachable"}}
MASQUERADE = {"masquerade": {"port": {"range": [1024, 65535]}}}


def network(kind: str, bridge: str = "virbr1", *, ipv6: bool = True) -> Network:
    """A network of this kind, with the addresses of `SAVED` where it has any."""
    subnets = (Subnet("192.168.7.1", 24), *([Subnet("fd00:7::1", 64)] if ipv6 else []))
    return Network(
        "u", "lab", active=True, persistent=True, autostart=True, kind=kind, bridge=bridge,
        subnets=subnets if kind in ("nat", "routed", "isolated") else (),
    )  # fmt: skip


def meta(key: str, bridge: str = "virbr1") -> dict[str, Any]:
    """A condition on the interface."""
    return {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": bridge}}


def address(family: str, field: str, value: str, op: str = "==") -> dict[str, Any]:
    """A condition on an address."""
    start, _, length = value.partition("/")
    right = {"prefix": {"addr": start, "len": int(length)}}
    return {"match": {"op": op, "left": {"payload": {"protocol": family, "field": field}}, "right": right}}


def _of(family: str, cidr: str) -> list[dict[str, Any]]:
    """libvirt's rules for one family; those of IPv6 translate nothing."""
    state = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}
    to = ("guest_cross", "guest_input", "guest_output")
    jumps = [rule(family, "forward", {"jump": {"target": one}}) for one in to]
    return [
        *jumps,
        rule(family, "guest_output", address(family, "saddr", cidr), meta("iif"), ACCEPT),
        rule(family, "guest_output", meta("iif"), REJECT),
        rule(family, "guest_input", meta("oif"), address(family, "daddr", cidr), *[state] * (family == "ip"), ACCEPT),
        rule(family, "guest_input", meta("oif"), REJECT),
        rule(family, "guest_cross", meta("iif"), meta("oif"), ACCEPT),
    ]


def rule(family: str, chain: str, *expressions: dict[str, Any], table: str = "libvirt_network") -> dict[str, Any]:
    """A rule as nft prints it."""
    *conditions, verdict = expressions
    return {"rule": {"family": family, "table": table, "chain": chain, "expr": [*conditions, COUNTER, verdict]}}


def chain(family: str, table: str, name: str, policy: str) -> dict[str, Any]:
    """A chain that is asked about what is forwarded."""
    return {"chain": {"family": family, "table": table, "name": name, "hook": "forward", "policy": policy}}


def ruleset(*objects: dict[str, Any]) -> str:
    """What `nft -j list ruleset` prints of these."""
    return json.dumps({"nftables": [{"metainfo": {"json_schema_version": 1}}, *objects]})


OWN = "192.168.7.0/24"
NFT = [
    *_of("ip", OWN), *_of("ip6", "fd00:7::/64"),
    rule("ip", "guest_nat", address("ip", "saddr", OWN), address("ip", "daddr", OWN, "!="), MASQUERADE),
]  # fmt: skip
