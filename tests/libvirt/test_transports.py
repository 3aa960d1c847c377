"""Guests and volumes of another host, over TLS with certificates of the test and over ssh with an sshd of its own.

Between the two hosts lies a wire that the test cuts.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import snapshot_lab
from second_node import SSHD, Authority, sshd, with_tls

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")
pytest.importorskip("vfioctl_storage")

CLIENT = ("/etc/pki/CA/cacert.pem", "/etc/pki/libvirt/clientcert.pem", "/etc/pki/libvirt/private/clientkey.pem")
SSH_CONFIG = "UserKnownHostsFile /dev/null\\nUpdateHostKeys no\\n"
SIZE = 16 << 20
FILE, BACK = "/var/image.raw", "/var/back.raw"


class Wire:
    """The way to `port`, over a port of its own; it is cut once, after `limit` bytes that go there."""

    def __init__(self, port: int) -> None:
        self.there, self.limit, self.went = port, 0, 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def cut_after(self, limit: int) -> None:
        self.limit, self.went = limit, 0

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, suppress(ConnectionError), socket.create_connection(("127.0.0.1", self.there)) as daemon:
            while ready := select.select([client, daemon], [], [])[0]:
                for end in ready:
                    if not (data := end.recv(65536)) or self._is_cut(len(data) if end is client else 0):
                        return
                    (daemon if end is client else client).sendall(data)

    def _is_cut(self, count: int) -> bool:
        self.went += count
        if not (self.limit and self.went > self.limit):
            return False
        self.limit = 0
        return True


@pytest.fixture(scope="module")
def host(bare_host: Any) -> Any:
    bare_host.must("sh", "-c", f"head -c {SIZE} /dev/urandom > {FILE}")
    return bare_host


@pytest.fixture(scope="module")
def node(
    module_lab: Any, host: Any, tmp_path_factory: pytest.TempPathFactory, capabilities_cache: Path
) -> Iterator[Any]:
    """Another host, which listens with TLS as "localhost" and lets this one in; it has the pool default."""
    place = tmp_path_factory.mktemp("there")
    lab = type(module_lab)(place, place / "etc", capabilities_cache)
    lab.open()
    authority = Authority(place / "ours")
    lab.tls = with_tls(lab, authority, "DNS:localhost")
    for source, target in zip((authority.certificate, *authority.sign("client", "clientAuth")), CLIENT, strict=True):
        host.must("install", "-D", str(source), target)
    lab.start("--listen")
    lab.virsh("pool-define-as", "default", "dir", "--target", snapshot_lab.IMAGES)
    lab.virsh("pool-start", "default")
    yield lab
    lab.close()


@pytest.fixture(scope="module", params=["tls", "ssh"])
def wire(
    request: pytest.FixtureRequest, host: Any, node: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The way there; its `uri` is how the other host is reached."""
    if request.param == "tls":
        made: Any = Wire(node.tls)
        made.uri = f"qemu+tls://localhost:{made.port}/system"
        yield made
        return
    if not SSHD:
        pytest.skip("sshd is not there; contrib/test.sh unpacks one")
    with sshd(node, tmp_path_factory.mktemp("sshd")) as server:
        made = Wire(server.port)
        made.uri = server.uri("key").replace(f":{server.port}/", f":{made.port}/")
        known = server.known.replace(f":{server.port} ", f":{made.port} ")
        host.must("sh", "-c", f"printf '{SSH_CONFIG}' > /etc/ssh/ssh_config.d/00-test.conf")
        host.must("sh", "-c", f"printf %s '{known}' > /etc/ssh/ssh_known_hosts")
        yield made


def done(host: Any, wire: Any, *argv: str, status: int = 0) -> str:
    ended = host.cli(*argv, "--node", wire.uri)
    assert ended.returncode == status, ended.stdout + ended.stderr
    said: str = ended.stdout + ended.stderr
    return said


def there(node: Any) -> tuple[str, ...]:
    """Every guest, and every volume, as libvirt sees them when it has looked."""
    node.virsh("pool-refresh", "default")
    lists = (("list", "--all", "--name"), ("vol-list", "default"))
    return tuple(word for argv in lists for word in sorted(node.virsh(*argv).stdout.split()))


def test_a_guest_is_made_started_and_deleted_there(host: Any, node: Any, wire: Any) -> None:
    here, before = host.files(), there(node)
    done(host, wire, "guest", "create", "web", "--memory", "64M", "--disk", "8M", "--start")
    shown = json.loads(done(host, wire, "guest", "show", "web", "--format", "json"))["data"]["guest"]
    assert (shown["name"], node.state("web")) == ("web", "running")
    done(host, wire, "guest", "stop", "web", "--force")
    done(host, wire, "guest", "delete", "web", "--yes")
    assert (host.files(), there(node)) == (here, before)
    assert host.left_open() == []


def test_an_image_goes_there_and_comes_back_byte_by_byte(host: Any, node: Any, wire: Any) -> None:
    before = there(node)
    done(host, wire, "volume", "upload", "default", "image", FILE)
    done(host, wire, "volume", "download", "default", "image", BACK)
    host.must("cmp", FILE, BACK)
    host.must("rm", BACK)
    done(host, wire, "volume", "delete", "default", "image", "--yes")
    assert there(node) == before


def test_an_upload_whose_wire_is_cut_is_undone(host: Any, node: Any, wire: Any) -> None:
    before = there(node)
    wire.cut_after(SIZE // 2)
    done(host, wire, "volume", "upload", "default", "image", FILE, status=1)
    assert wire.limit == 0, "it was cut"
    assert there(node) == before
    assert host.left_open() == []
    done(host, wire, "volume", "upload", "default", "image", FILE)
    done(host, wire, "volume", "delete", "default", "image", "--yes")
    assert there(node) == before
