"""The XML of a new guest: everything that was chosen is in it, and nothing is left to chance."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from vfioctl_guest.machine import FIRMWARES, Board, Card, Drive, Machine, board, new_mac
from vfioctl_guest.machine_xml import SPARE_PORTS, document

from vfioctl.frozen import replace
from vfioctl.virt.capabilities import Capabilities
from vfioctl.virt.disks import guest_disks, guest_firmware, guest_tpm
from vfioctl.virt.hardware import guest_interfaces, guest_machine

BOARD = Board("kvm", "x86_64", "pc-q35-7.2", "/usr/bin/qemu-system-x86_64", "host-passthrough", "virtio", "tpm-crb")
MACHINE = Machine(
    "web", "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11", 2 << 30, 2, BOARD,
    drives=(
        Drive("/images/web.qcow2", "qcow2", "vda"),
        Drive("/iso/debian.iso", "raw", "sda", "sata", cdrom=True, readonly=True),
    ),
    cards=(Card("default", "52:54:00:00:00:01"),),
)  # fmt: skip
NODE = Capabilities(
    "qemu", "x86_64", "pc-q35-7.2", "/usr/bin/qemu-system-x86_64", 288, 8 << 30, frozenset({"bios", "efi"}),
    frozenset({"vga", "virtio"}), frozenset({"tpm-tis", "tpm-crb"}), frozenset({"maximum", "custom"}),
)  # fmt: skip


def made(**changes: object) -> ET.Element:
    return ET.fromstring(document(replace(MACHINE, **changes)))


def test_what_was_chosen_is_read_back() -> None:
    xml = document(MACHINE)
    machine = guest_machine(xml)
    assert (machine.cpus, machine.memory, machine.machine, machine.serial) == (2, 2 << 30, "pc-q35-7.2", "pty")
    assert [(disk.target, disk.source, disk.format, disk.readonly) for disk in guest_disks(xml)] == [
        ("vda", "/images/web.qcow2", "qcow2", False), ("sda", "/iso/debian.iso", "raw", True),
    ]  # fmt: skip
    assert [(card.mac, card.source, card.model) for card in guest_interfaces(xml)] == [
        ("52:54:00:00:00:01", "default", "virtio"),
    ]  # fmt: skip


def test_drives_boot_in_their_order_and_networks_after_them() -> None:
    assert [one.get("order") for one in made().iterfind("devices/*/boot")] == ["1", "2", "3"]


def test_every_disk_is_a_file_of_a_stated_format() -> None:
    disks = made().findall("devices/disk")
    assert {disk.get("type") for disk in disks} == {"file"}
    assert all(disk.find("driver[@type]") is not None for disk in disks)


def test_a_device_becomes_a_disk_by_its_name() -> None:
    (disk,) = made(drives=(Drive("/dev/vg0/web", "raw", "vda", block=True),)).findall("devices/disk")
    assert (disk.get("type"), disk.find("source").attrib) == ("block", {"dev": "/dev/vg0/web"})


def test_what_can_be_written_gives_space_back() -> None:
    assert [one.get("discard") for one in made().iterfind("devices/disk/driver")] == ["unmap", None]


def test_ports_are_left_for_what_is_plugged_in_later() -> None:
    assert len(made().findall("devices/controller[@model='pcie-root-port']")) == SPARE_PORTS


def test_the_screen_is_shown_to_nobody_but_this_host() -> None:
    screen = made().find("devices/graphics")
    assert screen is not None
    assert (screen.get("listen"), screen.get("port"), screen.get("autoport")) == ("127.0.0.1", "-1", "yes")


@pytest.mark.parametrize("firmware", FIRMWARES)
def test_firmware_is_chosen_by_its_features_and_has_variables_of_its_own(firmware: str) -> None:
    root = made(firmware=firmware)
    found = guest_firmware(ET.tostring(root, encoding="unicode"))
    assert found.uefi == (firmware != "bios")
    assert {one.get("enabled") for one in root.iterfind("os/firmware/feature")} == {
        "bios": set(), "uefi": {"no"}, "uefi-secure": {"yes"},
    }[firmware]  # fmt: skip
    assert found.nvram == ("" if firmware == "bios" else "/var/lib/libvirt/qemu/nvram/web-9f4f3a3a_VARS.fd")
    assert (root.find("features/smm") is not None) == (firmware == "uefi-secure")


def test_a_tpm_is_there_where_it_is_wanted() -> None:
    assert guest_tpm(document(MACHINE)) == ""
    assert guest_tpm(document(replace(MACHINE, tpm=True))) == "emulator"


def test_a_node_without_kvm_gives_the_best_that_it_can_emulate() -> None:
    found = board(NODE)
    assert (found.kind, found.cpu, found.video, found.tpm) == ("qemu", "maximum", "virtio", "tpm-crb")


def test_a_name_with_signs_of_xml_is_written_as_text() -> None:
    assert made(name="a<b&c").findtext("name") == "a<b&c"


def test_addresses_of_network_cards_are_qemus_and_differ() -> None:
    found = {new_mac() for _ in range(50)}
    assert len(found) > 40
    assert all(mac.startswith("52:54:00:") for mac in found)


def test_functions_of_the_host_are_given_by_vfioctl_alone_and_leave_as_many_ports_spare() -> None:
    root = made(hostdevs=("0000:01:00.0", "0001:0a:1f.7"))
    assert [one.get("managed") for one in root.iterfind("devices/hostdev")] == ["no", "no"]
    assert [dict(one.attrib) for one in root.iterfind("devices/hostdev/source/address")] == [
        {"domain": "0x0000", "bus": "0x01", "slot": "0x00", "function": "0x0"},
        {"domain": "0x0001", "bus": "0x0a", "slot": "0x1f", "function": "0x7"},
    ]  # fmt: skip
    assert len(root.findall("devices/controller[@model='pcie-root-port']")) == SPARE_PORTS + 2


def test_only_a_guest_without_them_has_a_balloon() -> None:
    models = [
        made(hostdevs=given).find("devices/memballoon").get("model")  # type: ignore[union-attr]
        for given in ((), ("0000:01:00.0",))
    ]
    assert models == ["virtio", "none"]


def test_memory_of_huge_pages_names_their_size() -> None:
    page = made(page=1 << 30).find("memoryBacking/hugepages/page")
    assert page is not None
    assert dict(page.attrib) == {"size": str(1 << 20), "unit": "KiB"}
    assert made().find("memoryBacking") is None


def test_from_a_network_it_boots_before_its_drives() -> None:
    root = made(network_boot=True)
    orders = [[one.get("order") for one in root.iterfind(f"devices/{kind}/boot")] for kind in ("interface", "disk")]
    assert orders == [["1"], ["2", "3"]]


def test_windows_gets_what_the_node_offers_and_a_clock_in_local_time() -> None:
    root = made(windows=True, board=replace(BOARD, hyperv=frozenset({"relaxed", "spinlocks", "evmcs"})))
    assert [(one.tag, dict(one.attrib)) for one in root.iterfind("features/hyperv/*")] == [
        ("relaxed", {"state": "on"}), ("spinlocks", {"state": "on", "retries": "8191"}),
    ]  # fmt: skip
    assert root.find("clock[@offset='localtime']/timer[@name='hypervclock']") is not None


def test_without_any_of_it_windows_gets_the_clock_alone() -> None:
    root = made(windows=True)
    assert root.find("features/hyperv") is None
    assert [one.get("name") for one in root.iterfind("clock/timer")] == ["rtc", "pit", "hpet"]
