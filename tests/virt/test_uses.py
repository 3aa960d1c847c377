"""Where the disks of a guest are that are given as volumes of a pool: libvirt's test driver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vfioctl.virt.connection import Connection
from vfioctl.virt.disks import GuestDisk
from vfioctl.virt.uses import located_disks

VOLUME = "<volume><name>deb.qcow2</name><capacity>1048576</capacity><target><format type='qcow2'/></target></volume>"
DISK = "<disk type='volume'><source pool='{pool}' volume='{volume}'/><target dev='vda'/></disk>"


@pytest.fixture
def pool(mock: Connection) -> Iterator[str]:
    found = mock.libvirt.storagePoolLookupByName("default-pool")
    found.createXML(VOLUME).path()
    yield "default-pool"
    found.storageVolLookupByName("deb.qcow2").delete()


def domain(*disks: str) -> str:
    return f"<domain><devices>{''.join(disks)}</devices></domain>"


def test_a_volume_of_a_pool_is_where_that_has_it(mock: Connection, pool: str) -> None:
    (found,) = located_disks(mock, domain(DISK.format(pool=pool, volume="deb.qcow2")))
    assert found == GuestDisk("vda", "/default-pool/deb.qcow2", "", "volume", pool=pool)


@pytest.mark.parametrize(("pool_name", "volume"), [("default-pool", "gone"), ("gone", "deb.qcow2")])
def test_one_that_is_not_there_keeps_its_name(mock: Connection, pool_name: str, volume: str) -> None:
    (found,) = located_disks(mock, domain(DISK.format(pool=pool_name, volume=volume)))
    assert (found.source, found.pool) == (volume, pool_name)


def test_the_others_are_as_their_document_has_them(mock: Connection) -> None:
    file = "<disk type='file'><source file='/a.raw'/><target dev='vdb'/></disk>"
    assert [one.source for one in located_disks(mock, domain(file), "", domain(file, file))] == ["/a.raw"] * 3
