"""The XML of what a guest is given, and which of its devices a word means."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from vfioctl_guest import hotplug
from vfioctl_guest.hotplug import Medium

from vfioctl.plugin import Refused

XML = """<domain><os><type machine='pc-q35-7.2'>hvm</type></os><devices>
  <disk type='file' device='disk'><source file='/srv/a.qcow2'/><target dev='vda' bus='virtio'/></disk>
  <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='/srv/a.iso'/>
    <target dev='sda' bus='sata'/><readonly/></disk>
  <interface type='network'><mac address='52:54:00:AA:00:01'/><source network='lan'/></interface>
  <interface type='network'><mac address='52:54:00:aa:00:02'/><source network='lan'/></interface>
</devices></domain>"""
IMAGE = Medium("/srv/b.qcow2", "file", "qcow2")


def test_a_disk_gives_what_the_guest_frees_back_to_its_image_unless_it_is_only_read():
    made = ET.fromstring(hotplug.disk(IMAGE, "vdb", "virtio"))
    assert made.find("driver").attrib == {"name": "qemu", "type": "qcow2", "discard": "unmap"}
    assert made.find("source").attrib == {"file": "/srv/b.qcow2"}
    assert made.find("readonly") is None
    read = ET.fromstring(hotplug.disk(Medium("/dev/vg/b", "block", "raw"), "vdb", "virtio", readonly=True))
    assert read.find("source").attrib == {"dev": "/dev/vg/b"}
    assert "discard" not in read.find("driver").attrib
    assert read.find("readonly") is not None


@pytest.mark.parametrize(("bus", "target"), [("virtio", "vdb"), ("scsi", "sdb"), ("usb", "sdb")])
def test_the_next_free_target_of_the_bus_is_taken(bus, target):
    assert hotplug.free_target((XML,), bus) == target


def test_a_bus_that_is_full_is_named():
    disks = "".join(f"<disk><target dev='vd{letter}'/></disk>" for letter in "abcdefghijklmnopqrstuvwxyz")
    with pytest.raises(Refused) as caught:
        hotplug.free_target((f"<domain><devices>{disks}</devices></domain>",), "virtio")
    assert caught.value.code == "guest.full"


def test_a_mac_is_one_that_nobody_has():
    assert hotplug.macs(XML) == {"52:54:00:aa:00:01", "52:54:00:aa:00:02"}
    found = hotplug.free_mac(hotplug.macs(XML))
    assert found.startswith("52:54:00:")
    assert found not in hotplug.macs(XML)


@pytest.mark.parametrize("word", ["vda", "/srv/a.qcow2"])
def test_a_disk_is_meant_by_its_target_or_its_path(word):
    assert hotplug.called(hotplug.named("win11", XML, word)) == "the disk vda"


def test_what_is_meant_by_two_devices_is_asked_for_by_name():
    with pytest.raises(Refused) as caught:
        hotplug.named("win11", XML, "lan")
    assert caught.value.code == "device.ambiguous"
    assert "52:54:00:aa:00:02" in caught.value.hints[0]


def test_what_there_is_not_is_answered_with_the_nearest():
    with pytest.raises(Refused) as caught:
        hotplug.named("win11", XML, "vdb")
    assert caught.value.code == "device.unknown"
    assert 'did you mean "vda"?' in str(caught.value)
    with pytest.raises(Refused):
        hotplug.named("win11", XML, "vda", only="cdrom")


def test_a_drive_is_loaded_and_emptied_and_keeps_the_rest():
    (drive,) = hotplug.drives(XML)
    former = hotplug.named("win11", XML, drive, only="cdrom")
    emptied = ET.fromstring(hotplug.loaded(former, None))
    assert emptied.find("source") is None
    assert emptied.find("target").attrib == {"dev": "sda", "bus": "sata"}
    loaded = hotplug.loaded(hotplug.loaded(former, None), Medium("/srv/b.iso", "file", "raw"))
    assert hotplug.path_of(loaded) == "/srv/b.iso"


def test_a_further_drive_is_where_the_machine_has_one():
    assert hotplug.bus_of_cds(XML) == "sata"
    assert hotplug.bus_of_cds(XML.replace("pc-q35-7.2", "pc-i440fx-7.2")) == "ide"
