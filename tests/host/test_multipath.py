"""Routes of several next hops: what rtnetlink says of them, made up and of this machine's own kernel."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from struct import pack

import pytest

from vfioctl.host import multipath
from vfioctl.host.routes import IPV4, Route

NAMES = {2: "eth0", 3: "eth1"}
HERE = """
import sys
from vfioctl.host import network, routes
from vfioctl.paths import Paths
table = routes.table(Paths("/"))
ways = routes.defaults(table), routes.towards(table, 0xAC100001, 32), network._best_defaults(table)
print(*(name for names in ways for name in sorted(names)))
"""
TWO_LINKS = """
set -e
ip link add v0 type veth peer name v1 2>/dev/null || exit 77
for n in 0 1; do ip link set v$n up; ip addr add 10.$n.0.2/24 dev v$n; done
ip route add default nexthop via 10.0.0.1 dev v0 nexthop via 10.1.0.1 dev v1
ip nexthop add id 1 via 10.0.0.1 dev v0
ip nexthop add id 2 via 10.1.0.1 dev v1
ip nexthop add id 3 group 1/2
ip route add 172.16.0.0/12 nhid 3 metric 7
exec "$1" -c "$2"
"""


def attribute(kind: int, data: bytes) -> bytes:
    return pack("=HH", 4 + len(data), kind) + data


def hop(index: int, flags: int = 0) -> bytes:
    gateway = attribute(5, bytes((10, 0, 0, 1)))
    return pack("=HBBi", 8 + len(gateway), flags, 0, index) + gateway


def message(*hops: bytes, table: int = 254, kind: int = 1) -> bytes:
    """An answer about 10.0.0.0/8 with the metric 100."""
    head = pack("=8BI", socket.AF_INET, 8, 0, 0, table, 3, 0, kind, 0)
    about = attribute(1, bytes((10, 0, 0, 0))) + attribute(6, pack("=I", 100))
    return head + about + (attribute(9, b"".join(hops)) if hops else attribute(4, pack("=i", 2)))


def found(body: bytes) -> list[Route]:
    return list(multipath.parsed(body, NAMES))


def test_each_next_hop_is_a_way() -> None:
    assert found(message(hop(2), hop(3))) == [Route(name, IPV4, 10 << 24, 8, 100) for name in ("eth0", "eth1")]


def test_a_next_hop_whose_interface_is_down_or_gone_is_none() -> None:
    assert [one.interface for one in found(message(hop(2, flags=1), hop(9), hop(3)))] == ["eth1"]


@pytest.mark.parametrize("body", [
    message(), message(hop(2), table=100), message(hop(2), kind=7), message(hop(2))[:-9],
], ids=["a single hop", "another table", "unreachable", "cut off"])  # fmt: skip
def test_nothing_else_is_a_way(body: bytes) -> None:
    assert found(body) == []


def test_where_the_kernel_may_not_be_asked_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket, "socket", refuse)
    assert multipath.routes() == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of one's own needs root")
@pytest.mark.skipif(not (shutil.which("unshare") and shutil.which("ip")), reason="not installed: unshare or ip")
def test_this_kernel_tells_the_second_link_of_its_default_route() -> None:
    argv = ["unshare", "--net", "sh", "-c", TWO_LINKS, "sh", sys.executable, HERE]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    if ended.returncode == 77:
        pytest.skip("this kernel makes no veth")
    assert ended.stdout.split() == ["v0", "v1"] * 3, ended.stderr
