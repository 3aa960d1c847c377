"""`vfioctl network check` and `repair`: rules, forwarding, ports and server of a network, and packets that go through.

libvirt keeps its rules with iptables, and from 10.4 on with nftables where network.conf says so: both are shown.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from network_host import SUBNETS, NetworkCli

from vfioctl.wait import until

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_network")

OUTSIDE = "192.0.2.2"
NO_MASTER = r"""#!/bin/sh\ncase "$*" in *" master "*) exit 1 ;; esac\nexec /var/ip "$@"\n"""
# libvirt's nftables rules come with one of tc, which needs a module of the kernel (act_csum) that a test may not load.
NO_TC = "printf '#!/bin/sh\\nexit 0\\n' > {file}; chmod 755 {file}; mount --bind {file} $(readlink -f $(command -v tc))"
LOSSES = {
    "flush ruleset": dict.fromkeys(("iptables", "nftables"), "nft flush ruleset"),
    "flush table": {
        "iptables": "iptables -F; iptables -t nat -F; iptables -t mangle -F",
        "nftables": "nft flush table ip libvirt_network",
    },
    "delete rule": {
        "iptables": "iptables -D LIBVIRT_FWX -i virbr1 -o virbr1 -j ACCEPT",
        "nftables": "nft flush chain ip libvirt_network guest_cross",
    },
}  # fmt: skip
TRANSLATED = """<network><name>lab</name><bridge name='virbr1'/><dns enable='no'/>
  <forward mode='nat'><nat><address start='203.0.113.5' end='203.0.113.5'/></nat></forward>
  <ip address='{gateway}' prefix='24'/></network>"""
# The file of a server that has ended may be left, as on Debian 13 (libvirt 11.3, dnsmasq 2.91).
SERVED = "grep -q /lab.conf /proc/$(cat /run/libvirt/network/lab.pid)/cmdline"
SERVE = """
import socket
with socket.create_server(("", 7)) as server:
    print("ready", flush=True)
    while True:
        server.accept()[0].close()
"""
ASK = "import socket, sys; socket.create_connection((sys.argv[1], 7), 1.5)"


@pytest.fixture(scope="module")
def started(backend: str, network_lab_of: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("networks")
    place.chmod(0o755)
    lab = network_lab_of()
    if backend == "nftables":
        (lab.etc / "network.conf").write_text('firewall_backend = "nftables"\n')
        subprocess.run(lab.inside("sh", "-c", NO_TC.format(file=place / "tc")), check=True)
    lab.start()
    made = NetworkCli(lab, place)
    made.backend = backend
    return made


@pytest.fixture
def host(started: NetworkCli) -> Iterator[NetworkCli]:
    yield started
    started.tidy()


@pytest.fixture
def subnet() -> str:
    return next(SUBNETS)


class Peer:
    """Somebody on the other end of a wire: a network namespace with an interface `eth0`."""

    def __init__(self, host: NetworkCli, wire: str, address: str, *, bridge: str = "", gateway: str = "") -> None:
        self.host = host
        self.holder = subprocess.Popen(
            host.lab.inside("unshare", "-n", sys.executable, "-c", SERVE), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "ready\n"
        host.ip("link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        if bridge:
            host.ip("link", "set", wire, "master", bridge)
        host.ip("link", "set", wire, "up")
        self.run("ip", "addr", "add", address, "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        if gateway:
            self.run("ip", "route", "add", "default", "via", gateway)

    def run(self, *argv: str, check: bool = True) -> int:
        inside = self.host.lab.inside("nsenter", "-t", str(self.holder.pid), "-n", *argv)
        return subprocess.run(inside, check=check, capture_output=True, env=self.host.lab.environment).returncode

    def reaches(self, address: str) -> bool:
        return self.run(sys.executable, "-c", ASK, address, check=False) == 0

    def end(self) -> None:
        self.holder.kill()
        self.holder.communicate()


@contextmanager
def peers(*made: Peer) -> Iterator[tuple[Peer, ...]]:
    try:
        yield made
    finally:
        for one in made:
            one.end()


@pytest.fixture
def wired(host: NetworkCli, subnet: str) -> Iterator[Peer]:
    """A peer on the network `lab`, and one outside, which has no way back but to the address of the host."""
    host.done("create", "lab", "--subnet", subnet)
    outer = Peer(host, "wan", f"{OUTSIDE}/24")
    host.ip("addr", "add", "192.0.2.1/24", "dev", "wan")
    inner = Peer(host, "tap", subnet.replace(".0/24", ".50/24"), bridge="virbr1", gateway=subnet.replace(".0/24", ".1"))
    with peers(inner, outer):
        assert until(lambda: inner.reaches(OUTSIDE), 20)
        yield inner


@contextmanager
def docker(host: NetworkCli) -> Iterator[None]:
    """What Docker does to iptables when it starts."""
    for argv in (("-N", "DOCKER-USER"), ("-I", "FORWARD", "-j", "DOCKER-USER"), ("-P", "FORWARD", "DROP")):
        host.inner.must("iptables", "-w", *argv)
    try:
        yield
    finally:
        for argv in (("-P", "FORWARD", "ACCEPT"), ("-D", "FORWARD", "-j", "DOCKER-USER"), ("-F", "DOCKER-USER"),
                     ("-X", "DOCKER-USER")):  # fmt: skip
            host.inner.must("iptables", "-w", *argv)


def rules(host: NetworkCli) -> list[str]:
    """Every rule of IPv4, without counters."""
    listed = json.loads(host.inner.must("nft", "-j", "list", "ruleset"))["nftables"]
    found = [one["rule"] for one in listed if one.get("rule", {}).get("family") == "ip"]
    return sorted(
        json.dumps([one["table"], one["chain"], [each for each in one["expr"] if "counter" not in each]])
        for one in found
    )


def passes(host: NetworkCli) -> list[str]:
    """What is let through in Docker's chain."""
    return [line for line in host.inner.must("iptables", "-S", "DOCKER-USER").splitlines() if line.startswith("-A")]


@pytest.mark.parametrize("kind", ["nat", "isolated", "routed"])
@pytest.mark.parametrize("loss", ["flush ruleset", "flush table", "delete rule"])
def test_rules_that_somebody_took_away_are_missed_and_put_back(
    host: NetworkCli, subnet: str, kind: str, loss: str
) -> None:
    host.done("create", "lab", "--subnet", subnet, "--type", kind)
    assert host.problems() == []
    before = rules(host)
    host.inner.must("sh", "-c", LOSSES[loss][host.backend])
    assert host.problems() == ["network.no_rules"]
    gone = rules(host)
    host.done("repair", "lab", "--dry-run")
    assert (host.problems(), rules(host)) == (["network.no_rules"], gone)
    assert "has what it needs again" in host.done("repair", "lab")
    assert host.problems() == []
    assert rules(host) == before
    assert "lost nothing" in host.done("repair", "lab")


def test_guests_get_out_again_after_a_repair(host: NetworkCli, wired: Peer) -> None:
    """`systemctl restart nftables` flushes all there is, on Debian too; libvirt's own restart would be its cure."""
    host.inner.must("nft", "flush", "ruleset")
    assert not wired.reaches(OUTSIDE)
    host.done("repair", "lab")
    assert wired.reaches(OUTSIDE)


def test_what_is_missing_is_named(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet)
    host.inner.must("sh", "-c", LOSSES["delete rule"][host.backend])
    said = host.cli("check", "lab").stdout
    assert "virbr1" in said
    assert "misses 1 rules of libvirt: guests among each other" in said


def test_docker_cuts_guests_off_only_where_libvirt_uses_nftables(host: NetworkCli, wired: Peer) -> None:
    with docker(host):
        if host.backend == "iptables":
            assert wired.reaches(OUTSIDE)
            assert host.problems() == []
            return
        assert not wired.reaches(OUTSIDE)
        assert host.problems() == ["network.dropped"]
        host.done("repair", "lab")
        assert wired.reaches(OUTSIDE)
        assert host.problems() == []
        assert len(passes(host)) == 2
        host.done("delete", "lab", "--yes")
        assert passes(host) == []


@pytest.fixture
def bridged(host: NetworkCli) -> Iterator[tuple[Peer, str]]:
    """A peer on a bridge of the host that guests are on, and the address of another one there."""
    host.ip("link", "add", "br7", "type", "bridge")
    host.ip("link", "set", "br7", "up")
    host.done("create", "lab", "--type", "bridge", "--bridge", "br7")
    first, second = (Peer(host, f"tap{one}", f"192.0.2.{one}/24", bridge="br7") for one in (11, 12))
    with peers(first, second):
        assert until(lambda: first.reaches("192.0.2.12"), 20)
        yield first, "192.0.2.12"
    host.ip("link", "delete", "br7")


def test_docker_cuts_guests_off_on_a_bridge_and_its_own_chain_lets_them_through(
    host: NetworkCli, bridged: tuple[Peer, str]
) -> None:
    peer, other = bridged
    with docker(host):
        assert not peer.reaches(other)
        assert host.problems() == ["network.dropped"]
        host.done("repair", "lab")
        assert peer.reaches(other)
        assert host.problems() == []
        (kept,) = passes(host)
        host.done("delete", "lab", "--dry-run")
        assert passes(host) == [kept]
        host.done("delete", "lab", "--yes")
        assert passes(host) == []


@pytest.mark.matrix
@pytest.mark.parametrize("number", range(1, 3))
@pytest.mark.usefixtures("bridged")
def test_nothing_is_let_through_by_a_repair_that_was_killed(host: NetworkCli, number: int) -> None:
    with docker(host):
        host.inner.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
        killed = host.cli("repair", "lab").returncode != 0
        host.inner.must("sh", "-c", "rm -f /.kit/*")
        host.inner.recover()
        assert killed
        assert passes(host) == []
        assert host.problems() == ["network.dropped"]
        assert host.inner.left_open() == []


def test_a_table_of_somebody_else_is_named_with_the_command_that_lets_the_network_through(
    host: NetworkCli, subnet: str
) -> None:
    host.done("create", "lab", "--subnet", subnet)
    host.inner.must("nft", "add table inet walls")
    try:
        host.inner.must("nft", "add chain inet walls forward { type filter hook forward priority 0; policy drop; }")
        assert host.problems() == ["network.dropped"]
        assert host.cli("repair", "lab").returncode == 1
        hint = host.cli("check", "lab").stdout.partition("Let it through with: ")[2].strip()
        for command in hint.split("; "):
            host.inner.must(*command.split())
        assert host.problems() == []
    finally:
        host.inner.must("nft", "delete table inet walls")


def test_a_port_that_a_restart_of_the_network_left_in_the_air_is_found(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet)
    guest = host.guest("lab", 1)
    assert host.problems() == []
    host.lab.virsh("net-destroy", "lab")
    host.lab.virsh("net-start", "lab")
    said = host.cli("check", "lab").stdout
    assert f"of the guest {guest} is not on virbr1" in said
    host.done("repair", "lab")
    assert host.problems() == []


def test_what_cannot_be_repaired_to_the_end_is_as_before(host: NetworkCli, subnet: str) -> None:
    """The jump is put back, then the port cannot be."""
    host.done("create", "lab", "--subnet", subnet)
    host.guest("lab", 1)
    host.lab.virsh("net-destroy", "lab")
    host.lab.virsh("net-start", "lab")
    host.inner.must("iptables", "-F", "OUTPUT")
    before, wrong = host.state(), host.problems()
    ip = host.inner.must("sh", "-c", "readlink -f $(command -v ip)").strip()
    host.inner.must("sh", "-c", f"cp {ip} /var/ip && printf '{NO_MASTER}' > /var/no-master && chmod 755 /var/no-master")
    host.inner.must("mount", "--bind", "/var/no-master", ip)
    try:
        assert host.cli("repair", "lab").returncode == 1
    finally:
        host.inner.must("umount", ip)
    assert (host.state(), host.problems()) == (before, wrong)
    host.done("repair", "lab")
    assert host.problems() == []


def test_a_network_with_an_address_of_its_own_to_be_translated_to_and_without_a_server_lacks_nothing(
    host: NetworkCli, subnet: str
) -> None:
    lab = host.inner.place / "translated.xml"
    lab.write_text(TRANSLATED.format(gateway=subnet.replace(".0/24", ".1")))
    host.lab.virsh("net-define", str(lab))
    host.lab.virsh("net-start", "lab")
    assert host.inner.run("sh", "-c", SERVED).returncode != 0
    assert host.problems() == []
    host.inner.must("sh", "-c", LOSSES["flush table"][host.backend])
    assert host.problems() == ["network.no_rules"]
    host.done("repair", "lab")
    assert host.problems() == []


def test_a_server_that_was_killed_and_forwarding_that_is_off_are_found(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet)
    host.inner.must("sh", "-c", "kill $(cat /run/libvirt/network/lab.pid)")
    assert until(lambda: host.problems() == ["network.no_server"], 20)
    host.inner.must("sh", "-c", "echo 1 > /run/libvirt/network/lab.pid")  # its number is another process's by now
    assert host.problems() == ["network.no_server"]
    host.inner.must("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward")
    assert host.problems() == ["network.no_forwarding", "network.no_server"]
    assert "[network.no_server]" in host.cli("repair", "lab").stderr
    assert host.problems() == ["network.no_server"]
    host.done("stop", "lab")
    assert host.problems() == ["network.inactive"]
