"""Volumes of a volume group, as libvirt's test driver has them, and how a step asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.pools import is_group
from vfioctl.kinds.libvirt.volume_xml import document
from vfioctl.kinds.libvirt.volumes import has_size
from vfioctl.txn.kind import kind
from vfioctl.virt.connection import Connection
from vfioctl.virt.pools import read_pool
from vfioctl.virt.volumes import Volume, read_volume

MIB = 1 << 20
GROUP = ("<pool type='logical'><name>vg0</name><source><name>vg0</name></source>"
         "<target><path>/dev/vg0</path></target></pool>")  # fmt: skip
WISH: dict[str, Any] = {"name": "a", "size": 10 * MIB, "format": "raw"}


@pytest.fixture
def group(mock: Connection) -> Iterator[Any]:
    made = mock.libvirt.storagePoolDefineXML(GROUP)
    made.build(0)  # which the test driver asks for before it starts one
    made.create(0)
    yield made
    made.destroy()  # the test driver keeps it for every connection of the process
    made.undefine()


def room(mock: Connection, pool: str, **params: Any) -> str:
    found = mock.libvirt.storagePoolLookupByName(pool)
    return ET.fromstring(document({**WISH, **params}, found)).findtext("allocation", "")


def test_a_volume_of_a_group_is_a_device_with_raw_bytes(mock: Connection, group: Any) -> None:
    group.createXML(document(WISH, group).replace("<volume>", "<volume type='block'>"))
    found = read_volume(mock, read_pool(mock, "vg0"), "a")
    assert (found.kind, found.format, found.path) == ("block", "raw", "/dev/vg0/a")


def test_in_a_group_a_volume_has_all_its_room_at_once(mock: Connection, group: Any) -> None:
    assert is_group(group.XMLDesc(0))
    assert room(mock, "vg0") == str(10 * MIB)
    assert room(mock, "default-pool") == "0"
    assert room(mock, "default-pool", preallocation="full") == str(10 * MIB)


@pytest.mark.parametrize(("kind_of", "capacity", "same"), [
    ("block", 10, True), ("block", 12, True), ("block", 8, False), ("file", 10, True), ("file", 12, False),
])  # fmt: skip
def test_a_device_may_be_larger_than_was_asked_for_as_extents_are_whole(
    kind_of: str, capacity: int, same: bool  # noqa: FBT001
) -> None:
    present = Volume("vg0", "a", "/dev/vg0/a", kind_of, "raw", capacity * MIB, capacity * MIB)
    assert has_size(present, 10 * MIB) is same


def test_a_volume_of_a_group_gets_no_other_size_and_the_command_of_lvm_is_named(mock: Connection, group: Any) -> None:
    from vfioctl.kinds.libvirt.volumes import Volume as Thing

    group.createXML(document(WISH, group))
    with pytest.raises(StepRefused) as refused:
        kind("volume.resize").must_fit({"name": "a"}, Thing(mock.libvirt, group.UUIDString(), "a"), None)  # type: ignore[attr-defined]
    assert refused.value.code == "volume.fixed"
    assert refused.value.hints == ("lvextend --size +SIZE /dev/vg0/a, then: vfioctl pool refresh vg0",)
