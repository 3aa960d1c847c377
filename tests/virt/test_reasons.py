"""Why a node is not reached: a sentence out of the words of ssh, TLS and libvirt."""

from __future__ import annotations

import pytest

from vfioctl.virt.nodes import LOCAL, Node
from vfioctl.virt.reasons import SIGNS, reason

RACK = Node("rack7", "qemu+ssh://ada@rack7:2222/system")


@pytest.mark.parametrize(("said", "code"), [
    ("Cannot recv data: sh: 1: nc: not found: Connection reset by peer", "node.no_helper"),
    ("authentication failed: Failed to verify peer's certificate: Certificate owner does not match the hostname rack7",
     "node.certificate_name"),
    ("Cannot read CA certificate '/etc/pki/CA/cacert.pem': No such file or directory", "node.certificate"),
    ("authentication failed: Failed to verify peer's certificate", "node.certificate"),
    ("Cannot recv data: Host key verification failed.: Connection reset by peer", "node.host_key"),
    ("Cannot recv data: ada@rack7: Permission denied (publickey).: Connection reset by peer", "node.ssh_denied"),
    ("Cannot recv data: ssh: Could not resolve hostname rack7: Name or service not known", "node.unresolved"),
    ("unable to connect to server at 'rack7:16514': Connection refused", "node.refused"),
    ("Cannot recv data: ssh: connect to host rack7 port 22: No route to host", "node.unreachable"),
    ("libvirt on rack7 did not answer within 10 s: a connection.", "node.unreachable"),
    ("Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory", "node.no_daemon"),
    ("authentication unavailable: no polkit agent available to authenticate action", "node.denied"),
])  # fmt: skip
def test_the_words_of_a_failure_have_a_reason(said: str, code: str) -> None:
    found = reason(RACK, said)
    assert found is not None
    assert found.code == code
    assert "{" not in found.sentence + found.hint


def test_the_hint_names_user_and_host() -> None:
    found = reason(RACK, "Host key verification failed.")
    assert found is not None
    assert found.hint == "Log in once as root and compare it: ssh -p 2222 ada@rack7"


def test_what_has_no_sign_has_no_reason() -> None:
    assert reason(RACK, "internal error: the moon is full") is None


def test_this_host_is_not_reached_over_a_way() -> None:
    assert reason(LOCAL, "Connection refused") is None


def test_every_sign_is_written_as_it_is_compared() -> None:
    assert [sign for signs, _ in SIGNS for sign in signs if sign != sign.casefold()] == []
