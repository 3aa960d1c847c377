"""Names, places, documents and lines of pools: what is refused before libvirt is asked, and how it is shown."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from vfioctl_storage.documents import pool
from vfioctl_storage.names import check_name, check_path
from vfioctl_storage.views import changed, pools
from vfioctl_storage.views import pool as shown

from vfioctl.plugin import Refused

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


@pytest.mark.parametrize("path", ["", "srv", "/", "/srv/../etc", "/srv//x", "/srv/./x", "/proc", "/dev/shm/x"])
def test_a_pool_is_not_put_everywhere(path: str) -> None:
    with pytest.raises(Refused) as caught:
        check_path(path)
    assert caught.value.code == "pool.bad_path"


def test_a_directory_is_a_pool_of_its_kind_and_a_device_one_that_is_mounted() -> None:
    plain, mounted = ET.fromstring(pool("a<b", "u", "/srv")), ET.fromstring(pool("a", "u", "/srv", "/dev/vdb1"))
    assert (plain.get("type"), plain.findtext("name"), plain.findtext("target/path")) == ("dir", "a<b", "/srv")
    device = mounted.find("source/device")
    assert device is not None
    assert (mounted.get("type"), device.get("path")) == ("fs", "/dev/vdb1")


def test_pools_stand_in_columns() -> None:
    (table,) = pools({"pools": [ROW]})
    assert table.heads == ("name", "state", "autostart", "kind", "free", "volumes", "path")
    assert table.rows == (("fast", "active", "yes", "dir", "3.0 GiB of 4.0 GiB", "2", "/srv/fast"),)
    assert list(pools({"pools": []})) == ["There are no pools."]


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
