"""`vfioctl network` on a real libvirtd in a network namespace of its own, as a user types it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import snapshot_lab
from network_host import SUBNETS, NetworkCli

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_network")

MEMBER, GROUP = 65534, 1  # nobody, as a member of the group daemon


@pytest.fixture(scope="module")
def started(network_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("networks")
    place.chmod(0o755)
    network_lab.let_members_ask()
    network_lab.start()
    return NetworkCli(network_lab, place)


@pytest.fixture
def host(started: NetworkCli) -> Iterator[NetworkCli]:
    yield started
    started.tidy()


@pytest.fixture
def subnet() -> str:
    return next(SUBNETS)


@pytest.mark.parametrize("kind", ["nat", "isolated", "routed"])
def test_a_network_is_made_listed_and_deleted_and_nothing_is_left(host: NetworkCli, subnet: str, kind: str) -> None:
    host.done("create", "warm", "--subnet", subnet, "--type", kind)  # libvirt's chains stay from then on
    host.done("delete", "warm", "--yes")
    before = host.state()
    said = host.done("create", "lab", "--subnet", subnet, "--type", kind)
    assert f"{subnet} on virbr1" in said
    assert "It starts with libvirt" in said
    row, = host.data("list")["networks"]
    assert (row["name"], row["active"], row["autostart"], row["type"], row["addresses"]) == (
        "lab", True, True, kind, [subnet],
    )  # fmt: skip
    assert "virbr1" in host.ip("-o", "link")
    host.done("delete", "lab", "--yes")
    assert host.state() == before
    assert host.data("list")["networks"] == []


def test_it_is_there_after_a_restart_of_libvirt(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet)
    host.lab.virsh("net-destroy", "lab")
    os.unlink(f"/proc/{host.lab.holder_pid}/root/run/libvirt/network/autostarted")
    host.lab.restart()
    assert host.data("show", "lab")["network"]["active"]


def test_a_dry_run_makes_nothing(host: NetworkCli, subnet: str) -> None:
    before = host.state()
    said = host.done("create", "lab", "--subnet", subnet, "--dry-run")
    assert said.index("network.define") < said.index("network.start") < said.index("network.autostart")
    assert host.state() == before


def test_it_stops_and_starts_and_does_not_start_with_libvirt_any_more(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet)
    host.done("stop", "lab")
    assert "[network.inactive]" in host.refused("stop", "lab")
    assert not host.data("show", "lab")["network"]["active"]
    host.done("start", "lab")
    assert "[network.active]" in host.refused("start", "lab")
    assert "does not start with libvirt" in host.done("autostart", "lab", "--off")
    assert not host.data("show", "lab")["network"]["autostart"]


def test_one_that_is_not_there_is_named_with_the_nearest(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet)
    for verb in ("show", "start", "stop", "autostart", "delete"):
        assert 'did you mean "lab"' in host.refused(verb, "lba")


def test_a_name_and_addresses_that_are_taken_are_refused(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet)
    assert "[network.exists]" in host.refused("create", "lab", "--subnet", "10.77.0.0/24")
    wider = subnet.replace(".0/24", ".128/25")
    said = host.refused("create", "other", "--subnet", wider)
    assert "[network.address_in_use]" in said
    assert "the network lab" in said
    assert said.count("overlaps") == 1, "its bridge's route is no second one"


def test_a_wider_route_of_a_vpn_is_in_the_way_which_libvirt_does_not_see(host: NetworkCli) -> None:
    host.ip("link", "add", "tun0", "type", "veth")
    host.ip("link", "set", "tun0", "up")
    host.ip("route", "add", "10.92.0.0/16", "dev", "tun0")
    host.ip("route", "add", "10.93.0.0/16", "dev", "tun0", "table", "52")
    try:
        for third in ("10.92.6.0/24", "10.93.6.0/24"):
            assert "[network.address_in_use]" in host.refused("create", "lab", "--subnet", third)
        host.ip("route", "add", "default", "dev", "tun0")
        host.done("create", "lab", "--subnet", "10.94.0.0/24")
        host.done("stop", "lab")
        host.ip("route", "add", "10.94.0.0/15", "dev", "tun0")
        assert "10.94.0.0/15" in host.refused("start", "lab")
    finally:
        host.ip("link", "delete", "tun0")


def test_a_network_is_not_taken_from_guests(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet)
    running, off = host.guest("lab", 1), host.guest("lab", 2, running=False)
    assert running in host.refused("stop", "lab")
    assert running in host.refused("delete", "lab", "--yes")
    host.lab.virsh("destroy", running)
    assert off in host.refused("delete", "lab", "--yes")
    shown = host.data("show", "lab")["network"]
    assert sorted(port["guest"] for port in shown["ports"]) == sorted((running, off))


def test_delete_asks_first(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet)
    assert "--yes" in host.refused("delete", "lab")


def test_addresses_are_kept_and_names_known_live_and_configured(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet)
    guest, address = host.guest("lab", 1), subnet.replace(".0/24", ".20")
    said = host.done("set", "lab", "--lease", f"{guest}={address}", "--dns", f"db={address}")
    assert "until it renews it" in said
    for flags in ((), ("--inactive",)):
        xml = host.lab.virsh("net-dumpxml", *flags, "lab").stdout
        assert f"name='{guest}' ip='{address}'" in xml
        assert "<hostname>db</hostname>" in xml
    row, = host.data("leases", "lab")["leases"]
    assert (row["address"], row["guest"], row["kept"], row["expires"]) == (address, guest, True, None)
    assert "is so already" in host.done("set", "lab", "--lease", f"{guest}={address}")
    host.done("set", "lab", "--lease", f"{guest}={address}1")
    host.done("set", "lab", "--no-lease", guest, "--no-dns", "db")
    assert "<host " not in host.lab.virsh("net-dumpxml", "lab").stdout


def kept(host: NetworkCli, *flags: str) -> dict[str, str]:
    """The last number of the address that is kept for each name."""
    xml = host.lab.virsh("net-dumpxml", *flags, "lab").stdout
    found = re.findall(r"<host mac='[^']*' name='([^']*)' ip='[0-9.]*\.([0-9]+)'", xml)
    return dict(found)


@pytest.mark.parametrize("active", [True, False], ids=["active", "off"])
def test_a_kept_address_moves_changes_hands_and_follows_another(
    host: NetworkCli, subnet: str, *, active: bool
) -> None:
    host.done("create", "lab", "--subnet", subnet)
    one, two = host.guest("lab", 1, running=False), host.guest("lab", 2, running=False)
    lease = {f"{guest} {last}": f"{guest}={subnet.replace('.0/24', '.')}{last}" for guest in (one, two) for last in
             (10, 11, 12)}  # fmt: skip
    if not active:
        host.done("stop", "lab")
    host.done("set", "lab", "--lease", lease[f"{one} 10"])
    said = host.refused("set", "lab", "--lease", lease[f"{two} 10"])
    assert f"--no-lease {one}" in said
    for wish, then in (
        (("--no-lease", one, "--lease", lease[f"{two} 10"]), {two: "10"}),
        (("--lease", lease[f"{one} 11"]), {one: "11", two: "10"}),
        (("--lease", lease[f"{one} 10"], "--lease", lease[f"{two} 11"]), {one: "10", two: "11"}),
        (("--lease", lease[f"{one} 11"], "--lease", lease[f"{two} 12"]), {one: "11", two: "12"}),
    ):  # fmt: skip
        host.done("set", "lab", *wish, "--dry-run")
        host.done("set", "lab", *wish)
        assert [kept(host, *flags) for flags in ((), ("--inactive",))] == [then, then]


def test_names_of_dns_change_their_addresses(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet)
    first, second = (subnet.replace(".0/24", f".{last}") for last in (20, 21))
    host.done("set", "lab", "--dns", f"db={first}", "--dns", f"web={second}")
    host.done("set", "lab", "--dns", f"db={second}", "--dns", f"web={first}")
    names = host.data("show", "lab")["network"]["names"]
    assert {one["address"]: one["names"] for one in names} == {first: ["web"], second: ["db"]}


def test_a_new_network_keeps_an_address_and_knows_a_name_from_its_first_start(host: NetworkCli, subnet: str) -> None:
    guest, address = host.guest("lab", 1, running=False), subnet.replace(".0/24", ".20")
    wish = ("create", "lab", "--subnet", subnet, "--lease", f"{guest}={address}", "--dns", f"db={address}")
    before = host.state()
    assert f"{address} is kept for {guest}" in host.done(*wish, "--dry-run")
    wrong = subnet.replace(".0/24", ".1")
    assert "[network.address]" in host.refused(*wish, "--lease", f"52:54:00:0d:00:09={wrong}")
    assert "[network.lease_taken]" in host.refused(*wish, "--lease", f"52:54:00:0d:00:09={address}")
    assert host.state() == before
    host.done(*wish)
    for flags in ((), ("--inactive",)):
        xml = host.lab.virsh("net-dumpxml", *flags, "lab").stdout
        assert f"name='{guest}' ip='{address}'" in xml
        assert "<hostname>db</hostname>" in xml
    row, = host.data("leases", "lab")["leases"]
    assert (row["address"], row["guest"], row["kept"]) == (address, guest, True)


def test_a_kept_address_is_judged_where_libvirt_takes_any(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet)
    guest = host.guest("lab", 1, running=False)
    for address, code in ((subnet.replace(".0/24", ".1"), "network.address"), ("10.1.1.1", "network.address")):
        assert f"[{code}]" in host.refused("set", "lab", "--lease", f"{guest}={address}")
    assert "[network.no_port]" in host.refused("set", "lab", "--lease", f"nobody={subnet.replace('.0/24', '.9')}")


def test_dhcp_gives_the_kept_address_and_dns_knows_the_name(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet, "--type", "isolated")
    gateway, address = subnet.replace(".0/24", ".1"), subnet.replace(".0/24", ".20")
    host.done("set", "lab", "--lease", f"52:54:00:0d:00:01={address}", "--dns", f"db.lab={address}")
    asked = host.inner.must("python3", "-c", DNS, gateway, "db.lab")
    assert asked.strip() == address


def test_a_bridge_of_the_host_is_used_and_stays(host: NetworkCli) -> None:
    assert "no interface br7" in host.refused("create", "lab", "--type", "bridge", "--bridge", "br7")
    host.ip("link", "add", "br7", "type", "bridge")
    try:
        host.done("create", "lab", "--type", "bridge", "--bridge", "br7")
        assert host.data("list")["networks"][0]["type"] == "bridge"
        assert "no addresses of its own" in host.refused("set", "lab", "--dns", "a=10.0.0.1")
        host.done("delete", "lab", "--yes")
        assert "br7" in host.ip("-o", "link")
        assert "no bridge" in host.refused("create", "lab", "--type", "bridge", "--bridge", "lo")
    finally:
        host.ip("link", "delete", "br7")


def test_an_interface_of_the_host_is_shared_and_one_without_virtual_functions_is_no_pool(host: NetworkCli) -> None:
    host.ip("link", "add", "eth9", "type", "veth")
    try:
        host.done("create", "lab", "--type", "macvtap", "--device", "eth9")
        assert host.data("list")["networks"][0]["devices"] == ["eth9"]
        assert "virtual functions" in host.refused("create", "pool", "--type", "hostdev", "--device", "eth9")
    finally:
        host.ip("link", "delete", "eth9")


def test_what_libvirt_refuses_at_the_start_leaves_no_definition_and_the_next_try_succeeds(
    host: NetworkCli, subnet: str
) -> None:
    """Its DHCP server does not come up: libvirt has taken the definition by then."""
    before = host.state()
    dnsmasq = host.inner.must("sh", "-c", "command -v dnsmasq").strip()
    subprocess.run(host.lab.inside("mount", "--bind", "/bin/false", dnsmasq), check=True)
    try:
        ended = host.cli("create", "lab", "--subnet", subnet)
        assert ended.returncode == 1, ended.stdout + ended.stderr
    finally:
        subprocess.run(host.lab.inside("umount", dnsmasq), check=True)
    assert [one for one in host.state() if "LIBVIRT" not in one] == [one for one in before if "LIBVIRT" not in one]
    host.done("create", "lab", "--subnet", subnet)


def test_a_node_that_does_not_answer_costs_its_row(host: NetworkCli, subnet: str) -> None:
    host.done("create", "lab", "--subnet", subnet)
    place, uri = "/etc/vfioctl/nodes", "qemu+tcp://127.0.0.1:1/system"
    host.inner.must("sh", "-c", f"mkdir -p {place} && echo 'uri = \"{uri}\"' > {place}/dead.toml")
    try:
        ended = host.cli("list", "--all-nodes", "--format", "json")
        said = json.loads(ended.stdout)
        assert [row["name"] for row in said["data"]["networks"]] == ["lab"]
        assert {one["node"]: one["answers"] for one in said["data"]["nodes"]} == {"local": True, "dead": False}
        assert (ended.returncode, len(said["errors"])) == (1, 1)
    finally:
        host.inner.must("rm", f"{place}/dead.toml")


@pytest.fixture
def elsewhere(host: NetworkCli) -> Iterator[str]:
    """The URI of the daemon as if it were another host's, over the loopback of its network namespace."""
    argv = host.lab.inside(sys.executable, "-c", FORWARD, str(host.lab.holder_pid))
    environment = {**host.lab.environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as forwarder:
        assert forwarder.stdout is not None
        yield forwarder.stdout.readline().strip()
        forwarder.communicate("")


def test_a_network_of_another_node_is_made_changed_and_deleted_there(
    host: NetworkCli, subnet: str, elsewhere: str
) -> None:
    at = ("--node", elsewhere)
    host.done("create", "lab", "--subnet", subnet, *at)
    host.done("create", "other", "--subnet", subnet.replace("192.168", "172.20"), *at)
    said = host.refused("create", "third", "--subnet", subnet, *at)
    assert "the network lab" in said
    assert "cannot be seen from here" in said
    host.done("set", "lab", "--dns", f"db={subnet.replace('.0/24', '.9')}", *at)
    assert host.data("show", "lab", *at)["network"]["names"][0]["names"] == ["db"]
    assert {row["name"] for row in host.data("list", *at)["networks"]} == {"lab", "other"}
    for verb in ("check", "repair"):
        assert "[network.elsewhere]" in host.refused(verb, "lab", *at)
    for name in ("lab", "other"):
        host.done("delete", name, "--yes", *at)
    assert host.data("list")["networks"] == []


def test_a_member_of_the_group_does_all_of_it(host: NetworkCli, subnet: str) -> None:
    home = "/var/home"
    host.inner.must("install", "-d", "-o", str(MEMBER), home)
    host.inner.must("chmod", "-R", "a+rwX", "/.kit")  # where the kit counts boundaries

    def member(*argv: str) -> str:
        ended = host.inner.run(
            "setpriv", f"--reuid={MEMBER}", f"--regid={MEMBER}", f"--groups={GROUP}", "env", f"HOME={home}",
            f"XDG_STATE_HOME={home}/state", sys.executable, "-m", snapshot_lab.ENTRY, "--root", "/", "network", *argv,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return str(ended.stdout)

    member("create", "lab", "--subnet", subnet)
    member("set", "lab", "--lease", f"52:54:00:0d:00:01={subnet.replace('.0/24', '.20')}")
    member("stop", "lab")
    member("start", "lab")
    assert "lab" in member("list")
    member("delete", "lab", "--yes")
    assert host.data("list")["networks"] == []


FORWARD = """
import sys, types
from forwarding import forwarded
with forwarded(types.SimpleNamespace(holder_pid=sys.argv[1])) as uri:
    print(uri, flush=True)
    sys.stdin.read()
"""
DNS = """
import socket, struct, sys
server, name = sys.argv[1:]
labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\\0"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
    asked.settimeout(10)
    asked.sendto(struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + labels + struct.pack(">2H", 1, 1), (server, 53))
    print(".".join(str(byte) for byte in asked.recv(512)[-4:]))
"""
