"""The guests of a node, their snapshots and what they use, as libvirt's test driver has them."""

from __future__ import annotations

import pytest

from vfioctl.errors import Refused
from vfioctl.virt.connection import Connection
from vfioctl.virt.guests import read_guest, read_guests
from vfioctl.virt.snapshots import read_snapshots
from vfioctl.virt.uses import other_sources, paths

OTHER = """<domain type='test'><name>other</name><memory>8192</memory><os><type>hvm</type></os>
<devices><disk type='file'><source file='/srv/other.qcow2'/><target dev='vda'/></disk></devices></domain>"""
VOLUME = OTHER.replace("disk type='file'", "disk type='volume'").replace(
    "file='/srv/other.qcow2'", "pool='default-pool' volume='a'"
)


def test_a_guest_that_runs_has_both_of_its_xml(mock: Connection) -> None:
    one, = read_guests(mock)
    assert (one.name, one.state, one.is_off, one.persistent, one.saved) == ("test", "running", False, True, False)
    assert "<name>test</name>" in one.xml
    assert "id='1'" in one.live_xml


def test_a_guest_that_is_off_has_its_configuration(mock: Connection) -> None:
    mock.libvirt.defineXML(OTHER)
    other = read_guest(mock, "other")
    assert (other.state, other.is_off, other.live_xml) == ("off", True, "")


def test_a_guest_that_is_off_says_how_it_ended_as_far_as_libvirt_knows(mock: Connection) -> None:
    other = mock.libvirt.defineXML(OTHER)
    assert read_guest(mock, "other").ended == ""
    for end, word in ((other.destroy, "destroyed"), (other.shutdown, "shutdown")):
        other.create()
        assert read_guest(mock, "other").ended == ""
        end()
        assert read_guest(mock, "other").ended == word
    other.undefine()


def test_a_guest_is_found_by_its_uuid_too(mock: Connection) -> None:
    one = read_guest(mock, "test")
    assert read_guest(mock, one.uuid) == one


def test_an_unknown_guest_is_refused_with_the_nearest(mock: Connection) -> None:
    with pytest.raises(Refused, match='There is no guest \'tset\'; did you mean "test"') as refused:
        read_guest(mock, "tset")
    assert (refused.value.code, refused.value.hints) == ("guest.unknown", ("The guests of this host: test",))


def test_a_guest_whose_start_takes_a_saved_memory_is_not_off(mock: Connection) -> None:
    mock.libvirt.lookupByName("test").managedSave()
    saved = read_guest(mock, "test")
    assert (saved.state, saved.saved, saved.is_off) == ("saved", True, False)


def test_what_other_guests_use_leaves_out_the_guest_itself(mock: Connection) -> None:
    other = mock.libvirt.defineXML(OTHER)
    assert "/srv/other.qcow2" in other_sources(mock, read_guest(mock, "test").uuid)
    assert "/srv/other.qcow2" not in other_sources(mock, other.UUIDString())


@pytest.mark.parametrize("active", [True, False])
def test_a_volume_of_a_pool_is_known_by_its_path(mock: Connection, *, active: bool) -> None:
    pool = mock.libvirt.storagePoolLookupByName("default-pool")
    pool.createXML("<volume><name>a</name><capacity>1024</capacity></volume>")
    mock.libvirt.defineXML(VOLUME)
    if not active:
        pool.destroy()
    assert "/default-pool/a" in other_sources(mock, "")


def test_a_volume_that_is_gone_is_used_by_nobody(mock: Connection) -> None:
    mock.libvirt.defineXML(VOLUME)
    assert "/default-pool/a" not in other_sources(mock, "")


def test_what_only_a_snapshot_names_is_used(mock: Connection) -> None:
    other = mock.libvirt.defineXML(OTHER)
    other.snapshotCreateXML("<domainsnapshot><name>before</name></domainsnapshot>")
    newer = OTHER.replace("other.qcow2", "newer.qcow2").replace("<name>", f"<uuid>{other.UUIDString()}</uuid><name>")
    mock.libvirt.defineXML(newer)
    assert {"/srv/other.qcow2", "/srv/newer.qcow2"} <= other_sources(mock, "")


def test_a_snapshot_is_read_with_its_parent_and_whether_it_is_the_current_one(mock: Connection) -> None:
    other = mock.libvirt.defineXML(OTHER)
    for name in ("first", "second"):
        xml = f"<domainsnapshot><name>{name}</name><description>of {name}</description></domainsnapshot>"
        other.snapshotCreateXML(xml)
    first, second = read_snapshots(mock, other.UUIDString())
    assert (first.name, first.parent, first.current, first.description) == ("first", "", False, "of first")
    assert (second.parent, second.current, second.state, second.guest) == ("first", True, "shutoff", other.UUIDString())
    assert read_snapshots(mock) == (first, second)


def test_paths_are_found_wherever_they_stand() -> None:
    firmware, disk = "<kernel>/boot/k</kernel><nvram template='/t'>/n</nvram>", "<disk><source dev='/dev/sda'/></disk>"
    assert paths(f"<domain><os>{firmware}</os>{disk}</domain>") == {"/boot/k", "/t", "/n", "/dev/sda"}


def test_the_emulator_is_no_file_of_a_guest() -> None:
    assert paths("<domain><devices><emulator>/usr/bin/qemu</emulator></devices></domain>") == set()
