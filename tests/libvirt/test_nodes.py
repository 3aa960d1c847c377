"""Two hosts, each with a private libvirtd: asked side by side, one dead, over TLS and ssh, and what each says."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import snapshot_lab
from forwarding import forwarded
from reference import SHIPPED
from second_node import SSHD, Authority, Sshd, said, sshd, with_tls
from somebody import NOBODY

from vfioctl.actions.nodes import PATIENCE

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_snapshot")
pytest.importorskip("vfioctl_guest")

MADE = ("/etc/pki/CA/cacert.pem", "/etc/pki/libvirt/clientcert.pem", "/etc/pki/libvirt/private/clientkey.pem")
OF_NO_NODE = ("guest profile list", "guest ssh-key list", "ssh-key list")  # this host's own, or one guest's
LISTS = [
    row.name for row in SHIPPED.rows if row.name.endswith((" list", " leases")) and row.name not in OF_NO_NODE
]
SOCKETS = """\
auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
unix_sock_ro_perms = "0777"
"""
DEAD = "qemu+tcp://127.0.0.1:1/system"
SSH_CONFIG = "UserKnownHostsFile /dev/null\\nUpdateHostKeys no\\n"


@pytest.fixture(scope="module")
def host(module_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with (module_lab.etc / "libvirtd.conf").open("a") as file:
        file.write(SOCKETS)  # as where there is no polkit: the modes of the sockets say who may do what
    with snapshot_lab.silent(module_lab, tmp_path_factory.mktemp("nodes")) as made:
        _with_snapshot(made.lab, "here")
        yield made


def _with_snapshot(lab: Any, guest: str) -> None:
    """A guest with a disk, and a snapshot of it that libvirt has made."""
    image = lab.work / f"{guest}.qcow2"
    said("qemu-img", "create", "-q", "-f", "qcow2", str(image), "1M")
    lab.define(guest, devices=snapshot_lab.DISK.format(form="qcow2", path=image, target="vda"))
    lab.virsh("snapshot-create-as", guest, "clean")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates") / "ours")


@pytest.fixture(scope="module")
def other(
    module_lab: Any, tmp_path_factory: pytest.TempPathFactory, capabilities_cache: Path, authority: Authority
) -> Iterator[Any]:
    """The libvirtd of the second host, which listens with TLS as "localhost"."""
    place = tmp_path_factory.mktemp("other")
    lab = type(module_lab)(place, place / "etc", capabilities_cache)
    lab.open()
    lab.tls = with_tls(lab, authority, "DNS:localhost")
    lab.start("--listen")
    _with_snapshot(lab, "there")
    yield lab
    lab.close()


@contextmanager
def added(host: Any, uri: str, *more: str) -> Iterator[None]:
    """The node rack7, added by us and removed at the end."""
    done = host.cli("node", "add", "rack7", uri, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    yield
    assert host.cli("node", "remove", "rack7", "--yes").returncode == 0


@pytest.fixture
def rack7(host: Any, other: Any) -> Iterator[str]:
    with forwarded(other) as uri, added(host, uri, "--label", "room=2"):
        yield uri


@contextmanager
def standing_still(lab: Any) -> Iterator[None]:
    os.kill(lab.daemon_pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(lab.daemon_pid, signal.SIGCONT)


def asked(host: Any, *argv: str, status: int = 0) -> dict[str, Any]:
    """The envelope of `vfioctl ARGV`, which ends with `status`."""
    done = host.cli(*argv, "--format", "json")
    assert done.returncode == status, done.stdout + done.stderr
    envelope: dict[str, Any] = json.loads(done.stdout)
    return envelope


def refused(host: Any, uri: str) -> str:
    """What `node add` says of a node that is not to be added."""
    done = host.cli("node", "add", "rack7", uri)
    assert (done.returncode, done.stdout) == (3, ""), done.stdout + done.stderr
    assert "rack7.toml" not in host.run("ls", "/etc/vfioctl/nodes").stdout.split()
    return str(done.stderr)


@pytest.mark.usefixtures("rack7")
def test_lists_of_both_hosts_stand_side_by_side(host: Any) -> None:
    data = asked(host, "snapshot", "list", "--all-nodes")["data"]
    assert [(row["node"], row["guest"], row["name"]) for row in data["snapshots"]] == [
        ("local", "here", "clean"), ("rack7", "there", "clean"),
    ]  # fmt: skip
    assert [(one["node"], one["answers"]) for one in data["nodes"]] == [("local", True), ("rack7", True)]
    head, _, *shown = host.done("list", "--all-nodes").splitlines()
    assert [line.split()[:2] for line in (head, *shown)] == [["node", "guest"], ["local", "here"], ["rack7", "there"]]


@pytest.mark.usefixtures("rack7")
@pytest.mark.parametrize("verb", LISTS)
def test_every_list_has_both_hosts_and_lives_without_the_second(host: Any, other: Any, verb: str) -> None:
    both = asked(host, *verb.split(), "--all-nodes")
    with standing_still(other):
        one = asked(host, *verb.split(), "--all-nodes", status=1)
    assert [(node["node"], node["answers"]) for node in both["data"]["nodes"]] == [("local", True), ("rack7", True)]
    assert [(node["node"], node["answers"]) for node in one["data"]["nodes"]] == [("local", True), ("rack7", False)]
    (rows,) = (value for key, value in one["data"].items() if key != "nodes")
    (every,) = (value for key, value in both["data"].items() if key != "nodes")
    assert rows == [row for row in every if row["node"] == "local"]


@pytest.mark.usefixtures("rack7")
def test_a_guest_is_looked_for_on_every_node(host: Any) -> None:
    data = asked(host, "snapshot", "list", "there", "--all-nodes")["data"]
    assert [(row["node"], row["guest"]) for row in data["snapshots"]] == [("rack7", "there")]
    assert "No node has a guest 'nowhere'" in host.refused("list", "nowhere", "--all-nodes")


@pytest.mark.usefixtures("rack7")
def test_a_node_that_stands_still_costs_its_rows_and_its_own_time(host: Any, other: Any) -> None:
    with standing_still(other):
        began = time.monotonic()
        envelope = asked(host, "snapshot", "list", "--all-nodes", status=1)
        took = time.monotonic() - began
        listed = host.cli("node", "list")
    assert [(row["node"], row["guest"]) for row in envelope["data"]["snapshots"]] == [("local", "here")]
    assert [one["code"] for one in envelope["errors"]] == ["libvirt.unanswered"]
    assert envelope["data"]["nodes"][1]["error"]["message"].startswith("libvirt on rack7 did not answer within 10 s")
    assert took < 2 * PATIENCE
    assert listed.returncode == 1
    assert ["no answer" in line for line in listed.stdout.splitlines()[2:]] == [False, True]
    assert asked(host, "node", "list")["data"]["nodes"][1]["answers"] is True, "it goes on"


def test_a_node_that_is_gone_is_not_added_and_costs_its_row(host: Any, other: Any) -> None:
    file = "/etc/vfioctl/nodes/gone.toml"
    with forwarded(other) as uri, added(host, uri):
        host.must("sh", "-c", f"echo 'uri = \"{DEAD}\"' > {file}")
        envelope = asked(host, "node", "list", status=1)
        host.must("rm", file)
    assert [(one["name"], one["answers"]) for one in envelope["data"]["nodes"]] == [
        ("local", True), ("gone", False), ("rack7", True),
    ]  # fmt: skip
    assert "Nobody listens on 127.0.0.1" in refused(host, DEAD)


@pytest.mark.usefixtures("rack7")
def test_a_cordoned_node_is_shown_so_and_its_guests_still_are(host: Any) -> None:
    host.must("sed", "-i", "1i # by hand", "/etc/vfioctl/nodes/rack7.toml")
    assert host.cli("node", "cordon", "rack7").returncode == 0
    node = asked(host, "node", "list")["data"]["nodes"][1]
    assert (node["cordoned"], node["guests"], node["labels"]) == (True, {"all": 1, "running": 0}, {"room": "2"})
    assert host.must("cat", "/etc/vfioctl/nodes/rack7.toml").startswith("# by hand\nuri = ")
    assert host.cli("node", "uncordon", "rack7").returncode == 0
    assert asked(host, "node", "list")["data"]["nodes"][1]["cordoned"] is False


@pytest.mark.parametrize(("node", "guest"), [("local", "here"), ("rack7", "there")])
@pytest.mark.usefixtures("rack7")
def test_no_guest_is_started_on_a_cordoned_node(host: Any, other: Any, node: str, guest: str) -> None:
    lab = host.lab if node == "local" else other
    assert host.cli("node", "cordon", node).returncode == 0
    try:
        refused = host.cli("guest", "start", guest, "--node", node)
    finally:
        assert host.cli("node", "uncordon", node).returncode == 0
    assert (refused.returncode, "[node.cordoned]" in refused.stderr) == (3, True), refused.stderr
    assert lab.state(guest) == "shut off"


def test_a_machine_is_shown_as_virsh_and_the_kernel_have_it(host: Any, rack7: str) -> None:
    for name in ("local", "rack7", rack7):
        node = asked(host, "node", "show", name)["data"]["node"]
        version = host.lab.virsh("version", "--daemon").stdout
        assert f"libvirt {node['libvirt']}" in version
        assert f"Running hypervisor: {node['hypervisor']}" in version
        assert node["processors"]["cpus"] == os.cpu_count()
        assert node["processors"]["arch"] == os.uname().machine
        assert node["processors"]["name"]
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        assert abs(node["memory"]["total"] - pages) < pages / 100
        assert 0 < node["memory"]["available"] <= node["memory"]["total"]
        assert node["features"]["tpm"] is not None
        assert {cpu for cell in node["cells"] for cpu in cell["cpus"]} == set(range(os.cpu_count() or 0))


def test_devices_are_those_that_libvirt_lists(host: Any, rack7: str) -> None:
    for name in ("local", "rack7"):
        rows = asked(host, "node", "devices", name)["data"]["devices"]
        for capability, kinds in (("pci", {"pci", "gpu"}), ("usb_device", {"usb"}), ("storage", {"disk"})):
            listed = host.lab.virsh("nodedev-list", "--cap", capability).stdout.split()
            assert len([row for row in rows if row["kind"] in kinds]) == len(listed), capability
        wires = {row["name"] for row in rows if row["kind"] == "network"}
        assert wires <= set(os.listdir("/sys/class/net"))


def test_who_may_only_read_sees_what_there_is(host: Any) -> None:
    seen = host.cli_of(NOBODY, NOBODY, "node", "show", "--format", "json")
    assert seen.returncode == 0, seen.stdout + seen.stderr
    node = json.loads(seen.stdout)["data"]["node"]
    assert (node["guests"]["all"], node["features"]["uefi"]) == (1, None), "what guests can have is for others to see"
    denied = host.cli_of(NOBODY, NOBODY, "node", "cordon", "local")
    assert (denied.returncode, "[not_root]" in denied.stderr) == (77, True)


# ---------------------------------------------------------------- TLS


@pytest.fixture
def client(host: Any, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Puts the certificates of a client where its libvirt looks for them; without any they are taken away."""

    def put(authority: Authority, trusted: Authority | None = None) -> None:
        cert, key = authority.sign("client", "clientAuth")
        for source, target in zip(((trusted or authority).certificate, cert, key), MADE, strict=True):
            host.must("install", "-D", str(source), target)

    yield put
    host.must("rm", "-rf", "/etc/pki")


def test_a_node_is_asked_over_tls_by_the_name_of_its_certificate(host, other, authority, client) -> None:
    client(authority)
    with added(host, f"qemu+tls://localhost:{other.tls}/system"):
        rows = asked(host, "snapshot", "list", "--all-nodes")["data"]["snapshots"]
    assert [(row["node"], row["guest"]) for row in rows] == [("local", "here"), ("rack7", "there")]


def test_a_certificate_without_the_name_that_is_dialled_is_said_so(host, other, authority, client) -> None:
    client(authority)
    told = refused(host, f"qemu+tls://127.0.0.1:{other.tls}/system")
    assert told.startswith("error: "), "libvirt's own warnings are for its log"
    assert "The TLS certificate of 127.0.0.1 lacks the name that is dialled, 127.0.0.1." in told
    assert "[node.certificate_name]" in told


def test_a_certificate_of_another_authority_is_said_so(host, other, authority, client, tmp_path) -> None:
    client(authority, Authority(tmp_path / "theirs"))
    assert "[node.certificate]" in refused(host, f"qemu+tls://localhost:{other.tls}/system")


def test_a_client_whom_the_node_does_not_trust_is_said_so(host, other, authority, client, tmp_path) -> None:
    client(Authority(tmp_path / "theirs"), authority)
    assert "[node.certificate]" in refused(host, f"qemu+tls://localhost:{other.tls}/system")


def test_a_host_without_certificates_is_said_so(host, other) -> None:
    told = refused(host, f"qemu+tls://localhost:{other.tls}/system")
    assert "/etc/pki/CA/cacert.pem" in told
    assert "[node.certificate]" in told


# ---------------------------------------------------------------- ssh


@pytest.fixture(scope="module")
def over_ssh(host: Any, other: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An sshd of the second host, which the first one knows. Neither looks below /root of this machine."""
    if not SSHD:
        pytest.skip("sshd is not there; contrib/test.sh unpacks one")
    with sshd(other, tmp_path_factory.mktemp("sshd")) as made:
        host.must("sh", "-c", f"printf '{SSH_CONFIG}' > /etc/ssh/ssh_config.d/00-test.conf")
        host.must("sh", "-c", f"printf %s '{made.known}' > /etc/ssh/ssh_known_hosts")
        yield made


def test_a_node_is_asked_over_ssh(host, over_ssh) -> None:
    with added(host, over_ssh.uri("key")):
        rows = asked(host, "snapshot", "list", "--all-nodes")["data"]["snapshots"]
    assert [(row["node"], row["guest"]) for row in rows] == [("local", "here"), ("rack7", "there")]


def test_an_ssh_without_a_key_is_said_so(host, over_ssh) -> None:
    assert "[node.ssh_denied]" in refused(host, over_ssh.uri("stranger"))


def test_a_host_without_helper_and_netcat_is_said_so(host, over_ssh) -> None:
    told = refused(host, over_ssh.uri("bare"))
    assert "which has neither virt-ssh-helper nor netcat" in told
    assert "[node.no_helper]" in told


def test_a_host_key_that_is_not_known_is_said_so(host, over_ssh) -> None:
    host.must("mv", "/etc/ssh/ssh_known_hosts", "/etc/ssh/away")
    try:
        assert "[node.host_key]" in refused(host, over_ssh.uri("key"))
    finally:
        host.must("mv", "/etc/ssh/away", "/etc/ssh/ssh_known_hosts")


def test_an_ssh_port_that_nobody_listens_on_is_said_so(host) -> None:
    assert "[node.refused]" in refused(host, "qemu+ssh://root@127.0.0.1:1/system")
