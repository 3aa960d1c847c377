"""What libvirt does not say of a certificate that it refuses: whether only the name is another one."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from second_node import Authority

from vfioctl.actions.node_tls import AUTHORITY, has_another_name
from vfioctl.paths import Paths
from vfioctl.virt.nodes import Node

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@pytest.fixture
def paths(tmp_path: Path, authority: Authority) -> Paths:
    """A host that trusts the authority."""
    found = Paths(str(tmp_path / "host"))
    Path(found.at(AUTHORITY)).parent.mkdir(parents=True)
    shutil.copy(authority.certificate, found.at(AUTHORITY))
    return found


@pytest.fixture
def serve() -> Iterator[Callable[..., Node]]:
    """A node whose certificate of these names an authority has signed."""
    servers = []

    def start(authority: Authority, names: str, host: str = "localhost") -> Node:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.sign("server", "serverAuth", names))
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=_shake_hands, args=(server, context), daemon=True).start()
        return Node("rack7", f"qemu+tls://{host}:{server.getsockname()[1]}/system")

    yield start
    for server in servers:
        server.close()


def _shake_hands(server: socket.socket, context: ssl.SSLContext) -> None:
    try:
        client, _ = server.accept()
        with client, context.wrap_socket(client, server_side=True):
            pass
    except OSError:  # the client has hung up over the certificate
        return


def test_a_name_that_is_not_in_the_certificate_is_found(paths, authority, serve) -> None:
    assert has_another_name(paths, serve(authority, "DNS:rack7")) is True


def test_an_address_that_is_not_in_the_certificate_is_found(paths, authority, serve) -> None:
    assert has_another_name(paths, serve(authority, "DNS:localhost", "127.0.0.1")) is True


def test_a_certificate_with_the_name_has_no_other(paths, authority, serve) -> None:
    assert has_another_name(paths, serve(authority, "DNS:localhost")) is False


def test_another_authority_is_no_matter_of_the_name(paths, serve, tmp_path) -> None:
    assert has_another_name(paths, serve(Authority(tmp_path / "theirs"), "DNS:rack7")) is False


def test_without_an_authority_here_nothing_is_said(authority, serve, tmp_path) -> None:
    assert has_another_name(Paths(str(tmp_path)), serve(authority, "DNS:rack7")) is False


def test_a_node_that_is_not_there_or_not_asked_over_tls_is_not_judged(paths) -> None:
    assert has_another_name(paths, Node("rack7", "qemu+tls://127.0.0.1:1/system")) is False
    assert has_another_name(paths, Node("rack7", "qemu+ssh://127.0.0.1/system")) is False
