"""What is written down of a template: read back as it was, and refused where anything is wrong with it."""

from __future__ import annotations

import json

import pytest

from vfioctl.errors import VfioctlError
from vfioctl.virt.template_data import LARGEST, TemplateData, read

DATA = TemplateData(
    name="tiny", uuid="u", created="2026-11-28T19:00:00Z", image="tiny.qcow2", format="qcow2", size=8 << 20,
    sha256="0" * 64, source="/srv/tiny.qcow2", os="tïny", description='of "all"', tags=("a", "b"),
    updated="2026-11-29T19:00:00Z", storage="fast-templates", features=("cloud-init",),
)  # fmt: skip


def test_what_is_written_is_read_back() -> None:
    assert read(DATA.document(), "x.yaml") == DATA


def test_a_record_of_earlier_versions_is_read_too() -> None:
    data = json.loads(DATA.document())
    for key in ("updated", "storage", "features"):
        del data[key]
    found = read(json.dumps(data).encode(), "x")
    assert (found.uuid, found.updated, found.storage, found.features) == ("u", "", "", ())


@pytest.mark.parametrize(("content", "why"), [
    (b"{\n}}", "line 2 is not JSON"), (b"[]", "it is no object"), (b"\xff", "decode"),
    (b'{"name": "a", "name": "b"}', "'name' is there twice"), (b"[" * 100_000, "larger"), (b"[" * 60_000, "recursion"),
    (b" " * (LARGEST + 1), "larger"), (b"name: tiny\nanchor: &a [*a, *a]\n", "line 1 is not JSON"),
])  # fmt: skip
def test_what_is_no_record_is_refused_with_its_file_and_the_reason(content: bytes, why: str) -> None:
    with pytest.raises(VfioctlError, match=why) as caught:
        read(content, "/srv/x.yaml")
    assert caught.value.code == "template.damaged"
    assert "/srv/x.yaml" in caught.value.message


@pytest.mark.parametrize(("change", "why"), [
    ({"size": "8"}, "size is '8'"), ({"size": True}, "size is True"), ({"size": 0}, "size is 0"),
    ({"os": 7}, "os is 7"), ({"tags": "a"}, "tags"), ({"features": [1]}, "features"), ({"storage": 1}, "storage"),
    ({"more": 1}, "unknown key 'more'"),
])  # fmt: skip
def test_a_wrong_value_is_named(change: dict[str, object], why: str) -> None:
    with pytest.raises(VfioctlError, match=why):
        read(json.dumps({**json.loads(DATA.document()), **change}).encode(), "x")


def test_a_key_that_is_missing_is_named() -> None:
    data = json.loads(DATA.document())
    del data["sha256"]
    with pytest.raises(VfioctlError, match="'sha256' is missing"):
        read(json.dumps(data).encode(), "x")
