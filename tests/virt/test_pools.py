"""The pools and volumes of a node, as libvirt's test driver has them."""

from __future__ import annotations

import pytest

from vfioctl.errors import Refused
from vfioctl.virt.connection import Connection
from vfioctl.virt.pools import read_pool, read_pools
from vfioctl.virt.volumes import every_volume, read_volume, read_volumes

VOLUME = "<volume><name>{name}</name><capacity unit='MiB'>{size}</capacity></volume>"


def put(mock: Connection, name: str, size: int = 1) -> None:
    mock.libvirt.storagePoolLookupByName("default-pool").createXML(VOLUME.format(name=name, size=size))


def test_an_active_pool_has_a_place_room_and_volumes(mock: Connection) -> None:
    put(mock, "a")
    one, = read_pools(mock)
    assert (one.name, one.kind, one.state, one.path) == ("default-pool", "dir", "active", "/default-pool")
    assert one.is_active
    assert one.volumes == 1
    assert one.capacity == one.allocation + one.available


def test_a_pool_that_is_not_active_has_no_volumes(mock: Connection) -> None:
    mock.libvirt.storagePoolLookupByName("default-pool").destroy()
    one = read_pool(mock, "default-pool")
    assert (one.state, one.is_active, one.volumes) == ("inactive", False, 0)
    assert read_volumes(mock, one) == ()


def test_a_pool_is_found_by_its_uuid_too(mock: Connection) -> None:
    one = read_pool(mock, "default-pool")
    assert read_pool(mock, one.uuid) == one


def test_an_unknown_pool_is_refused_with_the_nearest(mock: Connection) -> None:
    with pytest.raises(Refused, match='There is no pool \'default-pol\'; did you mean "default-pool"') as refused:
        read_pool(mock, "default-pol")
    assert refused.value.code == "pool.unknown"


@pytest.mark.parametrize(("source", "shown"), [
    ("<device path='/dev/vdb1'/>", "/dev/vdb1"),
    ("<host name='nas'/><dir path='/export'/>", "nas:/export"),
    ("<name>vg</name>", "vg"),
])  # fmt: skip
def test_what_a_pool_is_from_is_told_in_one_word(mock: Connection, source: str, shown: str) -> None:
    kind = "logical" if "name>" in source else "netfs" if "host" in source else "fs"
    mock.libvirt.storagePoolDefineXML(
        f"<pool type='{kind}'><name>far</name><source>{source}</source><target><path>/far</path></target></pool>"
    )
    assert read_pool(mock, "far").source == shown


def test_a_volume_has_its_sizes_in_bytes_and_its_path(mock: Connection) -> None:
    put(mock, "a", size=3)
    one = read_volume(mock, read_pool(mock, "default-pool"), "a")
    assert (one.pool, one.name, one.path, one.capacity) == ("default-pool", "a", "/default-pool/a", 3 << 20)
    assert every_volume(mock) == (one,)


def test_an_unknown_volume_is_refused_with_the_nearest(mock: Connection) -> None:
    put(mock, "web.qcow2")
    with pytest.raises(Refused, match=r'did you mean "web\.qcow2"') as refused:
        read_volume(mock, read_pool(mock, "default-pool"), "web.qcow")
    assert refused.value.code == "volume.unknown"
