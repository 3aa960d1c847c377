"""The files of nodes: `local` is always there, each other has its own, and what is wrong is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from vfioctl.config.nodes import each, find, names, read
from vfioctl.errors import ConfigError, Refused, VfioctlError
from vfioctl.paths import Paths
from vfioctl.virt.nodes import LOCAL, Node

RACK = 'uri = "qemu+ssh://rack7/system"\ncordoned = true\n[labels]\nroom = "2"\n'


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(str(tmp_path))


def put(paths: Paths, name: str, text: str) -> None:
    place = Path(paths.nodes)
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(text)


def test_without_a_file_there_is_the_local_node(paths: Paths) -> None:
    assert (dict(each(paths)), find(paths, ""), find(paths, "local")) == ({"local": LOCAL}, LOCAL, LOCAL)


def test_a_file_is_a_node(paths: Paths) -> None:
    put(paths, "rack7.toml", RACK)
    rack = Node("rack7", "qemu+ssh://rack7/system", {"room": "2"}, cordoned=True)
    assert dict(each(paths)) == {"local": LOCAL, "rack7": rack}
    assert (find(paths, "rack7"), find(paths, rack.uri)) == (rack, rack)


def test_this_host_may_have_a_file_of_its_own(paths: Paths) -> None:
    put(paths, "local.toml", 'cordoned = true\n[labels]\nroom = "1"\n')
    here = Node("local", LOCAL.uri, {"room": "1"}, cordoned=True)
    assert (dict(each(paths)), find(paths, ""), find(paths, LOCAL.uri)) == ({"local": here}, here, here)


def test_this_host_stays_this_host(paths: Paths) -> None:
    put(paths, "local.toml", 'uri = "qemu+ssh://rack7/system"')
    with pytest.raises(ConfigError, match="the node local is this host, qemu:///system") as refused:
        find(paths, "local")
    assert refused.value.code == "config.value"


def test_a_file_that_is_wrong_costs_its_own_node(paths: Paths) -> None:
    put(paths, "rack6.toml", "uri = 7")
    put(paths, "rack7.toml", RACK)
    found = dict(each(paths))
    assert isinstance(found["rack6"], VfioctlError)
    assert find(paths, "qemu+ssh://rack7/system") == found["rack7"]


def test_a_uri_needs_no_file(paths: Paths) -> None:
    assert find(paths, "qemu+tls://other/system") == Node("", "qemu+tls://other/system")


def test_what_is_no_file_of_a_node_is_left_alone(paths: Paths) -> None:
    put(paths, "rack7.toml~", "?")
    put(paths, ".rack7.toml", "?")
    assert names(paths) == ("local",)


def test_an_unknown_node_is_refused_with_the_nearest(paths: Paths) -> None:
    put(paths, "rack7.toml", RACK)
    with pytest.raises(Refused, match='did you mean "rack7"') as refused:
        find(paths, "rakc7")
    assert (refused.value.code, refused.value.hints[0]) == ("node.unknown", "The nodes: local, rack7")


def test_a_uri_that_no_node_may_have_is_refused(paths: Paths) -> None:
    with pytest.raises(Refused, match="in the clear") as refused:
        find(paths, "qemu+tcp://rack7/system")
    assert refused.value.code == "node.uri"


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        ("", "config.type", "uri: expected the URI of a libvirt daemon"),
        ("uri = 7", "config.type", "uri: expected the URI of a libvirt daemon"),
        ('cordoned = false\nuri = "xen:///"', "config.type", "rack7.toml:2: uri: 'xen:///' has the scheme 'xen'"),
        (f"{RACK}rack = 3", "config.type", "labels: expected a table of texts"),
        ('uri = "qemu:///system"\ncordoned = "no"', "config.type", "rack7.toml:2: cordoned: expected true or false"),
        ('uri = "qemu:///system"\npassword = "x"', "config.unknown", "there is no such key; expected uri, labels"),
        ("uri", "config.syntax", "rack7.toml:1: expected TOML"),
    ],
)
def test_a_file_that_is_wrong_names_itself_and_the_line(paths: Paths, text: str, code: str, why: str) -> None:
    put(paths, "rack7.toml", text)
    with pytest.raises(ConfigError) as refused:
        read(paths, "rack7")
    assert refused.value.code == code
    assert why in str(refused.value)


def test_a_file_that_others_can_write_is_not_obeyed(paths: Paths) -> None:
    put(paths, "rack7.toml", RACK)
    (Path(paths.nodes) / "rack7.toml").chmod(0o666)
    with pytest.raises(Refused) as refused:
        read(paths, "rack7")
    assert refused.value.code == "config.writable"
