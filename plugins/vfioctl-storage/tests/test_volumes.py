"""Names and lines of volumes: what is refused before libvirt is asked, and how it is shown."""

from __future__ import annotations

from typing import Any

import pytest
from vfioctl_storage.names import check_volume
from vfioctl_storage.views import volume, volume_changed, volumes

from vfioctl.plugin import Refused

ROW: dict[str, Any] = {
    "node": "local", "pool": "fast", "name": "a.qcow2", "path": "/srv/fast/a.qcow2", "kind": "file", "format": "qcow2",
    "capacity": 4 << 30, "allocation": 1 << 20, "backing": "/srv/fast/b.qcow2", "backing_format": "qcow2",
    "guests": ["one", "two", "three"], "running": ["two"], "saved": ["three"], "snapshots": ["snapshot a of guest b"],
    "above": ["/srv/fast/c.qcow2"],
}  # fmt: skip


@pytest.mark.parametrize("name", ["web.qcow2", "7", "a+b_c-d.img"])
def test_a_plain_word_can_name_a_volume(name: str) -> None:
    check_volume(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", ".hidden", "a b", "a\nb", "a" * 121])
def test_what_is_no_plain_word_cannot(name: str) -> None:
    with pytest.raises(Refused) as caught:
        check_volume(name)
    assert caught.value.code == "volume.bad_name"


def test_volumes_stand_in_columns() -> None:
    (table,) = volumes({"volumes": [ROW]})
    assert table.rows == (("fast", "a.qcow2", "qcow2", "4.0 GiB", "1.0 MiB", "/srv/fast/b.qcow2"),)
    assert list(volumes({"volumes": []})) == ["There are no volumes."]


def test_a_volume_is_shown_with_what_it_lies_between_and_who_has_it() -> None:
    assert list(volume({"volume": ROW})) == [
        "a.qcow2 in fast: qcow2",
        "  path     /srv/fast/a.qcow2",
        "  size     4.0 GiB, 1.0 MiB used",
        "  over     /srv/fast/b.qcow2 (qcow2)",
        "  below    /srv/fast/c.qcow2",
        "  needed   snapshot a of guest b",
        "  guests   one (off), two (running), three (saved)",
    ]


@pytest.mark.parametrize(("verb", "more", "line"), [
    ("create", {}, "is made: qcow2, 4.0 GiB"), ("delete", {}, "is removed"),
    ("clone", {"source": "b", "linked": False}, "is a copy of b"),
    ("clone", {"source": "b", "linked": True}, "lies above b"),
    ("resize", {"former": 2 << 30}, "has 4.0 GiB, before 2.0 GiB"),
])  # fmt: skip
def test_what_was_done_is_one_sentence(verb: str, more: dict[str, Any], line: str) -> None:
    data = {"dry_run": False, "volume": {**ROW, **more}, "operation": {"operation": f"volume {verb}", "ok": True}}
    assert list(volume_changed(data)) == [f"The volume a.qcow2 in pool fast {line}."]
