"""Which addresses the host knows a way to, in every table."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vfioctl.host.destinations import Destination, destinations
from vfioctl.paths import Paths

TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
        /1 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.2
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Id 52:
     |-- 100.64.0.0
        /10 universe UNICAST
     |-- 10.92.0.0
        /16 universe BLACKHOLE
     |-- odd
        /16 universe UNICAST
"""
ROUTE = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 0102000A 0003 0 0 0 00000000 0 0 0
eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0
"""
NONE = "0" * 32
WAYS = (("fd" + "0" * 30, "40", NONE), ("fe80" + "0" * 28, "40", NONE), (NONE, "00", "fe80" + "0" * 27 + "1"))
IPV6 = "".join(f"{to} {bits} {NONE} 00 {hop} 00000100 1 0 1 eth0\n" for to, bits, hop in WAYS)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    place = tmp_path / "proc/self/net"
    place.mkdir(parents=True)
    for name, text in (("fib_trie", TRIE), ("route", ROUTE), ("ipv6_route", IPV6)):
        (place / name).write_text(text)
    return Paths(str(tmp_path))


def test_every_table_counts_and_the_default_route_does_not_also_in_halves(paths: Paths):
    assert destinations(paths) == (
        Destination("192.0.2.0/24", "eth0"), Destination("192.0.2.2/32"), Destination("100.64.0.0/10"),
        Destination("10.92.0.0/16"), Destination("fd00::/64", "eth0"),
    )  # fmt: skip


def test_without_a_trie_the_main_table_is_known(paths: Paths):
    os.unlink(os.path.join(paths.proc, "self/net/fib_trie"))
    assert Destination("192.0.2.0/24", "eth0") in destinations(paths)


def test_a_host_without_a_network_has_none(tmp_path: Path):
    assert destinations(Paths(str(tmp_path))) == ()
