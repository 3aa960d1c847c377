"""Names and lines of templates, and what is said of a file that is to become a volume."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from vfioctl_storage.image import announced
from vfioctl_storage.names import check_template
from vfioctl_storage.views import template, template_changed, templates

from vfioctl.plugin import Refused

ROW: dict[str, Any] = {
    "node": "local", "pool": "fast-templates", "name": "debian", "path": "/srv/fast/_templates_/debian.qcow2",
    "problem": "", "format": "qcow2", "size": 3 << 30, "sha256": "ab", "created": "2026-11-28", "os": "debian12",
    "source": "/root/debian.qcow2", "description": "", "tags": ["base", "tested"], "above": ["/srv/fast/web.qcow2"],
    "guests": ["web"], "uuid": "u", "type": "disk", "updated": "", "storage": "fast-templates", "features": ["agent"],
}  # fmt: skip
QCOW2 = struct.pack(">4sI QI I Q I", b"QFI\xfb", 3, 0, 0, 16, 1 << 30, 0)
URL = "https://images.example/debian.qcow2"


class Seen:
    """What is known of an address: the first bytes behind it, and how many there are."""

    def __init__(self, begin: bytes, size: int) -> None:
        self.begin, self.size = begin.ljust(512, b"\0"), size


@pytest.mark.parametrize("name", ["", "7", "-x", "a b", "../up", "a" * 200])
def test_what_is_no_plain_word_names_no_template(name: str) -> None:
    with pytest.raises(Refused) as caught:
        check_template(name)
    assert caught.value.code == "template.bad_name"


def test_templates_stand_in_columns_with_what_is_wrong_first() -> None:
    (table,) = templates({"templates": [ROW, {**ROW, "size": 0, "problem": "its image is gone", "os": ""}]})
    assert table.rows == (
        ("debian", "fast-templates", "debian12", "3.0 GiB", "2026-11-28", "-"),
        ("debian", "fast-templates", "-", "-", "2026-11-28", "its image is gone"),
    )
    (long,) = templates({"templates": [{**ROW, "os": "o" * 3000}]})
    assert long.rows[0][2] == "o" * 59 + "…"
    assert list(templates({"templates": []})) == ["There are no templates."]


def test_a_template_is_shown_with_what_needs_it() -> None:
    assert list(template({"template": ROW})) == [
        "debian in fast-templates: qcow2", "  image    /srv/fast/_templates_/debian.qcow2",
        "  uuid     u", "  type     disk", "  size     3.0 GiB", "  sha256   ab", "  created  2026-11-28",
        "  storage  fast-templates", "  os       debian12", "  source   /root/debian.qcow2", "  features agent",
        "  tags     base, tested", "  below    /srv/fast/web.qcow2", "  guests   web",
    ]  # fmt: skip


@pytest.mark.parametrize(("verb", "line"), [("add", "is made in pool fast-templates"), ("delete", "is removed")])
def test_what_was_done_to_it_is_one_sentence(verb: str, line: str) -> None:
    data = {"dry_run": False, "template": ROW, "operation": {"operation": f"template {verb}", "ok": True}}
    assert list(template_changed(data)) == [f"The template debian {line}."]


def test_an_image_behind_an_address_is_known_by_its_header() -> None:
    image = announced(URL, Seen(QCOW2, 4096), None)  # type: ignore[arg-type] # it asks no more of it
    assert (image.format, image.length, image.size) == ("qcow2", 4096, 1 << 30)
    assert announced(URL, Seen(b"", 4096), "raw").format == "raw"  # type: ignore[arg-type]


@pytest.mark.parametrize(("begin", "size", "form", "why"), [
    (QCOW2, 0, None, "does not say how large"), (b"\x1f\x8b", 9, None, "it is gzip"),
    (b"QFI\xfb\0\0\0\1", 9, None, "it is qcow"), (b"QFI\xfb\0\0\0\1", 9, "raw", "it is qcow"),
    (b"KDMV", 9, None, "it is VMDK"), (QCOW2, 9, "raw", "it is qcow2 by its header"),
    (b"", 9, "qcow2", "it is raw by its header"),
])  # fmt: skip
def test_what_could_be_no_volume_is_refused_before_it_is_fetched(
    begin: bytes, size: int, form: str | None, why: str
) -> None:
    with pytest.raises(Refused, match=why) as caught:
        announced(URL, Seen(begin, size), form)  # type: ignore[arg-type]
    assert caught.value.code == "volume.source"
