"""Which URIs a node may have."""

from __future__ import annotations

import pytest

from vfioctl.virt.nodes import LOCAL, Node, of_uri, problem


@pytest.mark.parametrize(
    "uri",
    [
        "qemu:///system", "qemu:///session", "qemu+ssh://root@rack7/system", "qemu+ssh://rack7:2222/system",
        "qemu+tls://rack7/system", "qemu+tcp://127.0.0.1/system", "qemu+tcp://[::1]:16600/system",
        "qemu+ssh://rack7/system?keyfile=/root/.ssh/id&known_hosts=/root/.ssh/known_hosts",
    ],
)  # fmt: skip
def test_a_uri_that_a_node_may_have(uri: str) -> None:
    assert problem(uri) == ""


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("", "has the scheme ''"),
        ("xen:///system", "has the scheme 'xen'"),
        ("test:///default", "has the scheme 'test'"),
        ("qemu://rack7/system", "names a host without a transport; expected qemu+ssh://rack7/system"),
        ("qemu+ssh:///system", "names no host"),
        ("qemu+ssh://rack7/", "has the path '/'"),
        ("qemu+tcp://rack7/system", "would ask rack7 in the clear"),
        ("qemu+ssh://root:secret@rack7/system", "holds a password"),
        ("qemu+ssh://-oProxyCommand=x/system", "for an option"),
        ("qemu+ssh://rack7/system?command=/tmp/x", "has the parameter 'command'"),
        ("qemu+tls://rack7/system?no_verify=1", "has the parameter 'no_verify'"),
        ("qemu+ssh://rack7:ssh/system", "is no URI"),
    ],
)
def test_a_uri_that_it_may_not_have_says_why(uri: str, why: str) -> None:
    assert why in problem(uri)


def test_a_password_is_not_repeated() -> None:
    assert "secret" not in problem("qemu+ssh://root:secret@rack7/system")


def test_a_node_without_a_host_has_its_files_here() -> None:
    assert (LOCAL.is_local, Node("rack7", "qemu+ssh://rack7/system").is_local) == (True, False)


def test_a_uri_alone_is_a_node_too() -> None:
    assert (of_uri("qemu:///system"), str(of_uri("qemu+ssh://a/system"))) == (LOCAL, "qemu+ssh://a/system")


@pytest.mark.parametrize(("node", "there"), [
    (LOCAL, ""), (of_uri("qemu:///system"), ""), (Node("tank", "qemu+ssh://tank/system"), " --node tank"),
    (of_uri("qemu+ssh://tank/system"), " --node qemu+ssh://tank/system"),
    (of_uri("qemu:///session"), " --node qemu:///session"),  # on this host, and with guests of its own
])  # fmt: skip
def test_what_a_command_line_needs_to_be_about_a_node(node: Node, there: str) -> None:
    assert node.there == there


def test_ssh_is_told_to_ask_nobody() -> None:
    dialled = [Node("", uri).dialled for uri in (
        "qemu+ssh://rack7/system", "qemu+ssh://rack7/system?keyfile=/k", "qemu+ssh://rack7/system?no_tty=0",
        "qemu+tls://rack7/system",
    )]  # fmt: skip
    assert dialled == [
        "qemu+ssh://rack7/system?no_tty=1", "qemu+ssh://rack7/system?keyfile=/k&no_tty=1",
        "qemu+ssh://rack7/system?no_tty=0", "qemu+tls://rack7/system",
    ]  # fmt: skip
