"""The `managed` attribute of hostdevs is changed in place, and what was before is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vfioctl.actions import hostdev_mode
from vfioctl.paths import Paths
from vfioctl.testing.domains import UUID

EARLIER = "00000000-0000-4000-8000-000000000001"
XML = b"""<domain>
  <!-- <hostdev type='pci' managed='yes'/> -->
  <devices>
    <hostdev mode='subsystem' type='pci' managed = 'yes' >
      <source><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source>
      <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/>
    </hostdev>
    <hostdev mode='subsystem' type='usb' managed='yes'><source><address bus='1' device='2'/></source></hostdev>
    <interface type="hostdev" managed="yes"><source><address type='pci' bus='0x03'/></source></interface>
    <hostdev type='pci'><source><address bus='4'/></source></hostdev>
  </devices>
  <metadata><hostdev><source><address bus='9'/></source></hostdev></metadata>
  <metadata><devices><hostdev type='pci' managed='yes'/></devices></metadata>
</domain>
"""


def test_the_devices_are_found_by_their_source_address() -> None:
    assert hostdev_mode.managed_addresses(XML) == ("0000:01:00.0", "0000:03:00.0")


def test_an_address_is_read_as_libvirt_reads_it_and_that_of_a_usb_device_is_none() -> None:
    odd = XML.replace(b"bus='0x01'", b"bus='01'").replace(b"bus='0x03'", b"bus='013'").replace(b"bus='1'", b"bus='008'")
    assert hostdev_mode.managed_addresses(odd) == ("0000:01:00.0", "0000:0b:00.0")


def test_a_usb_device_as_an_interface_is_left_alone() -> None:
    usb = XML.replace(b"<address type='pci' bus='0x03'/>", b"<address type='usb' bus='1' device='2'/>")
    assert hostdev_mode.managed_addresses(usb) == ("0000:01:00.0",)
    assert hostdev_mode.set_managed(usb, "no", ("0000:01:00.0", "0000:00:00.0")).count(b'managed="yes"') == 1


NVME = b"<source type='pci' managed='yes' namespace='1'><address bus='0x05'/></source>"
DRIVES = b"<disk type='nvme'>" + NVME + b"<address type='pci' bus='0x07'/></disk>"
BELOW = b"<disk type='file'><source file='/a'/><backingStore type='nvme'>" + NVME + b"</backingStore></disk>"


@pytest.mark.parametrize("disk", [DRIVES, BELOW], ids=["as a disk", "below an image"])
def test_an_nvme_drive_is_made_like_the_others_and_back(disk: bytes) -> None:
    xml = XML.replace(b"</devices>\n  <metadata>", disk + b"</devices>\n  <metadata>", 1)
    assert hostdev_mode.managed_addresses(xml) == ("0000:01:00.0", "0000:03:00.0", "0000:05:00.0")
    changed = hostdev_mode.set_managed(xml, "no", ("0000:05:00.0",))
    assert changed == xml.replace(NVME, NVME.replace(b"yes", b"no"))
    assert hostdev_mode.set_managed(changed, "yes", ("0000:05:00.0",)) == xml


def test_only_the_attribute_changes_and_comes_back_the_same() -> None:
    changed = hostdev_mode.set_managed(XML, "no", hostdev_mode.managed_addresses(XML))
    assert changed.count(b"managed = 'no'") == 1
    assert changed.count(b'managed="no"') == 1
    assert len(changed) == len(XML) - 2
    assert hostdev_mode.set_managed(changed, "yes", hostdev_mode.managed_addresses(XML)) == XML


def test_one_device_can_be_changed_alone() -> None:
    changed = hostdev_mode.set_managed(XML, "no", ("0000:03:00.0",))
    assert hostdev_mode.managed_addresses(changed) == ("0000:01:00.0",)


def test_what_was_before_is_kept_by_the_first_enable(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    hostdev_mode.remember(paths, UUID, "win11", ("0000:01:00.0",))
    hostdev_mode.remember(paths, UUID, "win11", ())
    assert hostdev_mode.before(paths, "win11") == (hostdev_mode.Before(UUID, ("0000:01:00.0",)),)
    assert hostdev_mode.before(paths, "linux") == ()
    hostdev_mode.forget(paths, UUID)
    assert hostdev_mode.before(paths, "win11") == ()
    assert not os.listdir(tmp_path / "var/lib/vfioctl/domains")


def test_a_guest_that_got_the_name_of_another_one_has_a_record_of_its_own(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    for uuid, address in ((EARLIER, "0000:01:00.0"), (UUID, "0000:03:00.0")):
        hostdev_mode.remember(paths, uuid, "win11", (address,))
        assert hostdev_mode.before_of(paths, uuid) == hostdev_mode.Before(uuid, (address,))


def test_a_guest_that_was_renamed_keeps_its_record(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    hostdev_mode.remember(paths, UUID, "win11", ("0000:01:00.0",))
    hostdev_mode.remember(paths, UUID, "games", ())
    assert hostdev_mode.before(paths, "games") == (hostdev_mode.Before(UUID, ("0000:01:00.0",)),)
