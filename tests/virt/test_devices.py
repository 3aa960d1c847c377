"""The devices that libvirt's documents describe."""

from __future__ import annotations

from node_devices import EVERY

from vfioctl.virt.devices import Device, devices


def found(name: str) -> Device:
    return next(one for one in devices(EVERY) if one.name == name)


def test_cards_come_first_and_what_is_no_device_is_left_out() -> None:
    assert [(one.kind, one.name) for one in devices(EVERY)] == [
        ("gpu", "0000:0a:1f.7"), ("pci", "0000:00:01.0"), ("pci", "0000:02:00.0"), ("usb", "001:012"),
        ("network", "br0"), ("network", "eth0"), ("disk", "/dev/nvme0n1"), ("disk", "/dev/sdb"),
    ]  # fmt: skip


def test_a_card_has_its_group_driver_cell_and_what_it_hangs_on() -> None:
    card = found("0000:0a:1f.7")
    assert (card.group, card.driver, card.numa, card.parent) == (12, "nvidia", 1, "0000:00:01.0")
    assert (card.identity, card.vendor, card.product, card.pci_class) == ("10de:2684", "NVIDIA", "", 0x0300)


def test_a_device_without_an_iommu_has_no_group() -> None:
    assert (found("0000:00:01.0").group, found("0000:00:01.0").numa) == (None, None)


def test_a_drive_of_nvme_is_told_from_one_of_usb() -> None:
    drive, stick = found("/dev/nvme0n1"), found("/dev/sdb")
    assert (drive.bus, drive.size, drive.removable, drive.parent) == ("nvme", 1920383410176, False, "0000:02:00.0")
    assert (stick.bus, stick.size, stick.removable, stick.parent) == ("usb", 4026531840, True, "0000:00:01.0")


def test_a_link_has_state_and_speed_where_it_has_them() -> None:
    wire, bridge = found("eth0"), found("br0")
    assert (wire.state, wire.speed, wire.identity, wire.parent) == ("up", 1000, "52:54:00:aa:bb:cc", "0000:00:01.0")
    assert (bridge.state, bridge.speed, bridge.parent) == ("down", None, "")


def test_a_link_that_says_no_speed_has_none() -> None:
    """The kernel says -1 for a virtual card, and libvirt hands it on as the largest number of 32 bits."""
    document = next(text for text in EVERY if "<interface>eth0<" in text).replace("speed='1000'", "speed='4294967295'")
    (wire,) = devices([document])
    assert (wire.state, wire.speed) == ("up", None)


def test_devices_that_name_each_other_as_parents_end() -> None:
    wire = "<capability type='net'><interface>x</interface></capability>"
    one = f"<device><name>a</name><parent>b</parent>{wire}</device>"
    other = "<device><name>b</name><parent>a</parent><capability type='scsi'/></device>"
    assert [device.parent for device in devices((one, other))] == [""]
