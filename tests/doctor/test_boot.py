"""What is left of this boot on a card, and what files give away at the next one."""

from __future__ import annotations

from typing import Any

import pytest
from doctored import Break, every, found, says, writes

from vfioctl.doctor import boot, drivers, early

CARD, OTHER, RELEASE = "0000:01:00.0", "0000:00:02.0", "6.1.0-56-amd64"
MEMORY = f"""00000000-00000fff : Reserved
c0000000-cfffffff : PCI Bus 0000:01
  c0000000-c1ffffff : {CARD}
    c0000000-c07e8fff : BOOTFB
fe000000-fe0fffff : {OTHER}
"""
IDS = "options vfio-pci ids=10de:2684,10de:22ba disable_idle_d3=1\n"


def framebuffer(tree: Any) -> None:
    place = f"devices/pci0000:00/{CARD}/simple-framebuffer.0"
    tree.write(f"sys/{place}/x")
    tree.link("sys/bus/platform/devices/simple-framebuffer.0", f"../../../{place}")
    tree.link(f"sys/{place}/driver", "../../../../bus/platform/drivers/simpledrm")


def other_vendor(tree: Any) -> None:
    tree.write(f"sys/devices/pci0000:00/{OTHER}/vendor", "0x8086\n")


def without_driver(tree: Any) -> None:
    (tree.root / f"sys/devices/pci0000:00/{CARD}/driver").unlink()


@pytest.mark.parametrize("check", [boot.findings, early.findings, drivers.findings])
def test_on_a_good_host_there_is_nothing(tree, check):
    assert found(check, tree) == {}


@pytest.mark.parametrize(("change", "code", "severity", "evidence"), [
    (framebuffer, "boot.framebuffer", "info", "simple-framebuffer.0"),
    (writes("proc/iomem", MEMORY), "boot.framebuffer_memory", "warn",
     f"/proc/iomem: BOOTFB lies in the memory of {CARD}"),
    (every(framebuffer, writes("proc/iomem", MEMORY)), "boot.framebuffer", "info", "simple-framebuffer.0"),
])  # fmt: skip
def test_the_picture_of_the_firmware_is_found_on_its_card(tree, change: Break, code, severity, evidence):
    change(tree)
    says(found(boot.findings, tree), code, severity, evidence)


def test_a_picture_outside_of_any_card_is_nobodys(tree):
    tree.write("proc/iomem", "80000000-8fffffff : PCI Bus 0000:00\n  80000000-807e8fff : BOOTFB\n")
    assert found(boot.findings, tree) == {}


@pytest.mark.parametrize(("change", "code", "severity", "evidence"), [
    (every(other_vendor, writes("etc/modprobe.d/vfio.conf", f"# mine\n{IDS}")), "driver.taken_by_file", "info",
     "/etc/modprobe.d/vfio.conf:2: options vfio-pci ids="),
    (writes("etc/modprobe.d/vfio.conf", IDS), "driver.taken_by_file", "warn", "/etc/modprobe.d/vfio.conf:1"),
    (writes(f"etc/driverctl.d/{CARD}", "vfio-pci\n"), "driver.taken_by_driverctl", "info",
     f"/etc/driverctl.d/{CARD}:1"),
    (every(without_driver, writes("etc/modprobe.d/x.conf", "blacklist nouveau\n")), "driver.blacklisted", "info",
     "/etc/modprobe.d/x.conf:1"),
])  # fmt: skip
def test_what_gives_cards_away_at_the_next_boot_is_found(tree, change: Break, code, severity, evidence):
    change(tree)
    says(found(early.findings, tree), code, severity, evidence)


@pytest.mark.parametrize(("path", "text"), [
    ("etc/initramfs-tools/modules", "vfio\nvfio_pci\n"), ("etc/mkinitcpio.conf", "MODULES=(vfio_pci amdgpu)\n"),
    ("etc/dracut.conf.d/vfio.conf", 'force_drivers+=" vfio vfio-pci "\n'),
])  # fmt: skip
def test_an_early_vfio_counts_only_with_ids_to_take(tree, path, text):
    tree.write(path, text)
    assert found(early.findings, tree) == {}
    tree.write("etc/modprobe.d/vfio.conf", IDS)
    assert found(early.findings, tree)["driver.early"].evidence.startswith(f"/{path}:")


@pytest.mark.parametrize(("path", "text"), [
    ("etc/mkinitcpio.conf", "FILES=(/etc/modprobe.d/vfio-pci.conf)\n"),
    ("etc/dracut.conf.d/vfio.conf", 'install_items+=" /etc/modprobe.d/vfio_pci.conf "\n'),
])  # fmt: skip
def test_a_file_that_is_called_like_the_module_loads_nothing(tree, path, text):
    tree.write("etc/modprobe.d/vfio-pci.conf", IDS)
    tree.write(path, text)
    assert "driver.early" not in found(early.findings, tree)


@pytest.mark.parametrize("change", [
    writes("etc/modprobe.d/vfio.conf", f"#{IDS}"),
    writes("etc/modprobe.d/vfio.conf", "options vfio-pci disable_vga=1\n"),
    writes("etc/modprobe.d/vfio.conf.bak", IDS), writes("etc/modprobe.d/x.conf", "blacklist nouveau\n"),
    writes(f"etc/driverctl.d/{CARD}", "igb\n"),
])  # fmt: skip
def test_what_takes_no_card_is_left_alone(tree, change: Break):
    change(tree)
    assert found(early.findings, tree) == {}


def test_the_modules_of_a_kernel_that_was_updated_are_missed(tree):
    (tree.root / f"lib/modules/{RELEASE}").rename(tree.root / "lib/modules/6.1.0-57-amd64")
    says(found(drivers.findings, tree), "driver.modules_gone", "block", f"/lib/modules/{RELEASE} is not there")


def test_a_host_without_modules_at_all_misses_none(tree):
    (tree.root / "lib/modules").rename(tree.root / "gone")
    assert found(drivers.findings, tree) == {}


def test_a_driver_that_is_a_part_of_the_kernel_is_told(tree):
    (tree.root / "sys/module/nouveau/refcnt").unlink()
    says(found(drivers.findings, tree), "driver.built_in", "info", "has the driver nouveau")
