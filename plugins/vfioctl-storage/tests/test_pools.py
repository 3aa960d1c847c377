"""Names, places, documents and lines of pools: what is refused before libvirt is asked, and how it is shown."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pool_looks
import pytest
from vfioctl_storage.commands.pool_asked import asked
from vfioctl_storage.commands.pool_delete import _said
from vfioctl_storage.commands.volume_work import must_be_active
from vfioctl_storage.commands.work import users
from vfioctl_storage.documents import Source, pool
from vfioctl_storage.names import check_name, check_path
from vfioctl_storage.views import changed, pools
from vfioctl_storage.views import pool as shown

from vfioctl.host.host import Host
from vfioctl.paths import Paths
from vfioctl.plugin import Pool, Refused, Result, Use, replace
from vfioctl.proc import Programs
from vfioctl.virt.nodes import LOCAL, Node

ROW: dict[str, Any] = {
    "node": "local", "name": "fast", "uuid": "u", "kind": "dir", "state": "active", "autostart": True,
    "persistent": True, "path": "/srv/fast", "source": "", "capacity": 4 << 30, "allocation": 1 << 30,
    "available": 3 << 30, "volumes": 2, "guests": ["win11"],
}  # fmt: skip


@pytest.mark.parametrize("name", ["images", "a", "web.old-2_x"])
def test_a_plain_word_can_name_a_pool(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "7", "-x", "x y", "..", "a/b", "a\nb", "ä", "a" * 61])
def test_what_a_tool_would_take_for_something_else_cannot(name: str) -> None:
    with pytest.raises(Refused) as caught:
        check_name(name)
    assert caught.value.code == "pool.bad_name"


@pytest.mark.parametrize("path", ["", "srv", "/", "/srv/../etc", "/srv//x", "/srv/./x", "/proc", "/dev/shm/x",
                                  "/etc", "/etc/x", "/usr/share/x", "/root/x", "/run/x", "/boot", "/home", "/var",
                                  "/var/lib", "/var/lib/libvirt", "/var/lib/vfioctl/x", "/tmp/"])
def test_a_pool_is_not_put_everywhere(path: str) -> None:
    with pytest.raises(Refused) as caught:
        check_path(path)
    assert caught.value.code == "pool.bad_path"


@pytest.mark.parametrize("path", ["/srv", "/home/ada/vm", "/var/lib/libvirt/images", "/run/media/ada/disk", "/etcetc"])
def test_what_people_keep_images_in_can_be_a_pool(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(("node", "there"), [(LOCAL, ""), (Node("b", "qemu+ssh://b/system"), " --node b")])
def test_a_pool_that_is_off_is_started_on_its_own_node(node: Node, there: str) -> None:
    off = replace(pool_looks.pool("/srv/fast"), state="inactive")
    with pytest.raises(Refused) as caught:
        must_be_active(node, off)
    assert caught.value.hints == (f"Start it with: vfioctl pool start fast{there}",)


def test_a_directory_is_a_pool_of_its_kind_and_a_device_one_that_is_mounted() -> None:
    plain = ET.fromstring(pool("a<b", "u", "/srv"))
    mounted = ET.fromstring(pool("a", "u", "/srv", Source("fs", ("/dev/vdb1",))))
    assert (plain.get("type"), plain.findtext("name"), plain.findtext("target/path")) == ("dir", "a<b", "/srv")
    device = mounted.find("source/device")
    assert device is not None
    assert (mounted.get("type"), device.get("path")) == ("fs", "/dev/vdb1")


def test_a_volume_group_and_a_directory_of_a_server_are_named_as_libvirt_takes_them() -> None:
    group = Source("logical", ("/dev/vdb", "/dev/vdc"), "vg0")
    share = Source("netfs", (), "", "nas.example", "/export/vm")
    assert ET.tostring(ET.fromstring(pool("a", "u", "/dev/vg0", group)), encoding="unicode") == (
        '<pool type="logical"><name>a</name><uuid>u</uuid><source><device path="/dev/vdb" /><device path="/dev/vdc" />'
        '<name>vg0</name><format type="lvm2" /></source><target><path>/dev/vg0</path></target></pool>'
    )
    assert ET.tostring(ET.fromstring(pool("a", "u", "/srv/vm", share)), encoding="unicode") == (
        '<pool type="netfs"><name>a</name><uuid>u</uuid><source><host name="nas.example" /><dir path="/export/vm" />'
        '<format type="nfs" /></source><target><path>/srv/vm</path></target></pool>'
    )
    assert (group.said, share.said) == ("vg0", "nas.example:/export/vm")


NOTHING: dict[str, Any] = {"kind": None, "devices": (), "source_name": "", "source_host": "", "source_path": ""}
SHARE = {"source_host": "nas", "source_path": "/vm"}


@pytest.mark.parametrize(("said", "path", "kind", "place"), [
    ({}, "/srv/a", "dir", "/srv/a"), ({"devices": ("/dev/vdb1",)}, "/srv/a", "fs", "/srv/a"),
    ({"kind": "logical"}, "", "logical", "/dev/a"), ({"source_name": "vg0"}, "", "logical", "/dev/vg0"),
    ({"kind": "logical", "devices": ("/dev/vdb", "/dev/vdc")}, "/dev/a/", "logical", "/dev/a"),
    (SHARE, "/srv/a", "netfs", "/srv/a"), ({**SHARE, "source_host": "fd00::1"}, "/srv/a", "netfs", "/srv/a"),
])  # fmt: skip
def test_what_a_pool_is_of_follows_from_what_is_said(said: dict[str, Any], path: str, kind: str, place: str) -> None:
    source, found = asked("a", path, **{**NOTHING, **said})
    assert (source.kind, found) == (kind, place)


@pytest.mark.parametrize("said", [
    {"kind": "dir", "devices": ("/dev/vdb",)}, {"kind": "fs"}, {"devices": ("/dev/vdb", "/dev/vdc")},
    {"devices": ("vdb",)}, {"devices": ("/srv/disk.img",)}, {"devices": ("/dev/../etc/passwd",)},
    {"kind": "fs", "source_name": "vg0"}, {"kind": "netfs", "devices": ("/dev/vdb",)}, {**SHARE, "source_name": "vg0"},
    {**SHARE, "source_path": ""}, {**SHARE, "source_host": ""}, {**SHARE, "source_host": "-oexec"},
    {**SHARE, "source_host": "nas:/x y"}, {**SHARE, "source_path": "vm"}, {**SHARE, "source_path": "/vm/../etc"},
    {**SHARE, "source_path": "/v\nm"}, {"source_name": "-vg"}, {"source_name": "v/g"}, {"source_name": ".."},
    {"kind": "logical", **SHARE},
])  # fmt: skip
def test_what_does_not_fit_the_type_or_cannot_be_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        asked("a", "/dev/a" if said.get("kind") == "logical" else "/srv/a", **{**NOTHING, **said})
    assert caught.value.code == "pool.bad_source"


@pytest.mark.parametrize(("said", "path"), [({}, ""), (SHARE, ""), ({"source_name": "vg0"}, "/srv/a"), ({}, "/dev/a")])
def test_a_place_that_does_not_fit_the_type_is_refused(said: dict[str, Any], path: str) -> None:
    with pytest.raises(Refused) as caught:
        asked("a", path, **{**NOTHING, **said})
    assert caught.value.code == "pool.bad_path"


def test_pools_stand_in_columns() -> None:
    (table,) = pools({"pools": [ROW]})
    assert table.heads == ("name", "state", "autostart", "kind", "free", "volumes", "path")
    assert table.rows == (("fast", "active", "yes", "dir", "3.0 GiB of 4.0 GiB", "2", "/srv/fast"),)
    assert list(pools({"pools": []})) == ["There are no pools."]


CEPH = Pool("u", "ceph", "rbd", "active", persistent=True, autostart=True, path="", source="rbd", capacity=0,
            allocation=0, available=0, volumes=0, xml="")  # fmt: skip
WEB = Use("u1", "web", runs=True, saved=False, paths=frozenset({"/srv/fast/web.qcow2"}), pools=frozenset())


def test_a_pool_without_a_directory_has_the_guests_that_name_it_and_no_others() -> None:
    assert users([WEB, replace(WEB, name="db", pools=frozenset({"ceph"}))], CEPH) == ["db"]
    assert users([WEB], replace(CEPH, path="/srv/fast")) == ["web"]


def test_pools_of_several_nodes_begin_with_their_node() -> None:
    (table,) = pools({"pools": [ROW], "nodes": [{"node": "local"}, {"node": "other"}]})
    assert (table.heads[0], table.rows[0][0]) == ("node", "local")


def test_a_pool_is_shown_with_the_guests_that_use_it() -> None:
    assert list(shown({"pool": ROW}))[-1] == "  guests     win11"


@pytest.mark.parametrize(("verb", "line"), [
    ("create", "The pool fast is made and active."), ("delete", "The pool fast is known no more."),
    ("autostart", "The pool fast no longer starts with its host."),
])  # fmt: skip
def test_what_was_done_is_one_sentence(verb: str, line: str) -> None:
    data = {"dry_run": False, "pool": ROW, "operation": {"operation": f"pool {verb}", "ok": True}}
    assert list(changed(data)) == [line]


@pytest.mark.parametrize(("path", "said"), [("", ()), ("/", ("The directory / stays, with what is in it.",))])
def test_a_directory_stays_where_the_deleted_pool_had_one(path: str, said: tuple[str, ...]) -> None:
    done = _said(Call(), LOCAL, replace(CEPH, path=path), Result(data={"dry_run": False}))  # type: ignore[arg-type]
    assert tuple(one.text for one in done.messages) == said


class Call:
    """A caller on this machine."""

    paths = Paths("/")

    def host(self) -> Host:
        return Host(self.paths, Programs(""))
