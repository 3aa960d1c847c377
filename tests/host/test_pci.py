"""PCI functions, their slots and links."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from vfioctl.errors import VfioctlError

if TYPE_CHECKING:
    from host_tree import Tree

CARD = "0000:01:00.0"
SOUND = "0000:01:00.1"


def test_a_device_is_read_with_all_its_attributes(tree: Tree) -> None:
    base = tree.device(
        CARD, driver="nvidia", group=14, subsystem_vendor="0x1043", subsystem_device="0x88c0", boot_vga="1",
        reset_method="flr bus", power_state="D0", d3cold_allowed="1", numa_node="-1",
    )  # fmt: skip
    tree.write(f"{base}/power/control", "on\n")
    tree.link(f"{base}/consumer:pci:{SOUND}", "../../virtual/devlink/x")
    device = tree.host().device(CARD)
    assert (device.class_code, device.vendor, device.device) == (0x030000, 0x10DE, 0x2684)
    assert device.identity == "10de:2684:1043:88c0"
    assert (device.driver, device.driver_override, device.iommu_group) == ("nvidia", None, 14)
    assert (device.boot_vga, device.numa_node, device.reset_methods) == (True, -1, ("flr", "bus"))
    assert (device.power_state, device.power_control, device.d3cold_allowed) == ("D0", "on", "1")
    assert device.links == (SOUND,)
    assert (device.slot, device.is_display, device.is_audio, device.is_bridge) == ("0000:01:00", True, False, False)


def test_a_device_without_optional_attributes_has_none_of_them(tree: Tree) -> None:
    tree.device(CARD)
    device = tree.host().device(CARD)
    assert (device.driver, device.iommu_group, device.boot_vga, device.power_state) == (None, None, None, None)
    assert (device.subsystem_vendor, device.reset_methods, device.links) == (0, (), ())


def test_garbled_optional_attributes_count_as_missing(tree: Tree) -> None:
    tree.device(CARD, boot_vga="yes", numa_node="near", subsystem_vendor="nvidia")
    device = tree.host().device(CARD)
    assert (device.boot_vga, device.numa_node, device.subsystem_vendor) == (None, None, 0)


def test_an_override_that_is_set_is_seen(tree: Tree) -> None:
    tree.device(CARD, driver_override="vfio-pci")
    assert tree.host().device(CARD).driver_override == "vfio-pci"


def test_an_unknown_address_is_an_error_with_the_address(tree: Tree) -> None:
    with pytest.raises(VfioctlError, match=CARD) as caught:
        tree.host().device(CARD)
    assert caught.value.code == "pci.unknown"


STRANGE = ["", "..", "01:00.0", "0000:01:00.8", "../pci/devices/0000:01:00.0", "0000:01:00.0\n"]


@pytest.mark.parametrize("address", STRANGE)
def test_what_is_no_address_is_unknown_and_never_a_path(tree: Tree, address: str) -> None:
    tree.device(CARD)
    host = tree.host()
    assert not host.has_device(address)
    with pytest.raises(VfioctlError):
        host.device(address)


@pytest.mark.parametrize("attribute", ["class", "vendor", "device"])
@pytest.mark.parametrize("said", ["", "0x", "gone"])
def test_a_device_that_does_not_say_what_it_is_counts_as_not_there(tree: Tree, attribute: str, said: str) -> None:
    base = tree.device(CARD)
    tree.write(f"{base}/{attribute}", said)
    tree.device(SOUND)
    host = tree.host()
    assert [device.address for device in host.devices()] == [SOUND]
    with pytest.raises(VfioctlError):
        host.device(CARD)


def test_a_device_that_vanished_after_the_listing_is_left_out(tree: Tree) -> None:
    tree.device(CARD)
    tree.device(SOUND)
    host = tree.host()
    assert host.addresses() == (CARD, SOUND)
    shutil.rmtree(tree.root / "sys/devices/pci0000:00" / SOUND)
    assert [device.address for device in host.devices()] == [CARD]
    assert [device.address for device in host.functions(CARD)] == [CARD]
    assert not host.has_device(SOUND)


def test_functions_are_those_of_the_slot_and_no_neighbour(tree: Tree) -> None:
    for address in (CARD, SOUND, "0000:01:01.0", "0000:11:00.0", "0001:01:00.0"):
        tree.device(address)
    assert [device.address for device in tree.host().functions(SOUND)] == [CARD, SOUND]


def test_functions_are_all_there_when_one_of_them_was_read_alone(tree: Tree) -> None:
    tree.device(CARD)
    tree.device(SOUND, **{"class": "0x040300"})
    host = tree.host()
    assert [device.address for device in host.gpus()] == [CARD]
    assert [device.address for device in host.functions(CARD)] == [CARD, SOUND]


@pytest.mark.parametrize(("code", "driver"), [("0x120000", None), ("0x120000", "amdgpu"), ("0x088000", "xe")])
def test_what_computes_is_a_card_too(tree: Tree, code: str, driver: str | None) -> None:
    tree.device(CARD, driver=driver, **{"class": code})
    tree.device(SOUND, driver="nvidia-gpu", **{"class": "0x0c8000"})
    assert [device.address for device in tree.host().gpus()] == [CARD]
    assert tree.host().displays() == ()


def test_a_long_domain_is_an_address_too(tree: Tree) -> None:
    tree.device("10000:01:00.0")
    assert tree.host().has_device("10000:01:00.0")


def test_devices_are_none_without_a_pci_bus(tree: Tree) -> None:
    shutil.rmtree(tree.root / "sys")
    assert tree.host().devices() == ()


def test_a_host_keeps_what_it_has_read(tree: Tree) -> None:
    tree.device(CARD, driver="nvidia")
    host = tree.host()
    before = host.device(CARD)
    (tree.root / "sys/devices/pci0000:00" / CARD / "driver").unlink()
    assert host.device(CARD) is before
    assert host.devices() == (before,)
    assert tree.host().device(CARD).driver is None


def test_making_a_host_reads_nothing(tree: Tree) -> None:
    shutil.rmtree(tree.root / "proc")
    shutil.rmtree(tree.root / "sys")
    tree.host()


def test_facts_leave_the_tree_as_it_was(tree: Tree) -> None:
    tree.device(CARD, driver="nvidia", group=1)
    before = tree.snapshot()
    host = tree.host()
    host.devices()
    host.holders((CARD,))
    host.unviable((CARD,))
    host.mounted_controllers()
    assert tree.snapshot() == before


def test_what_is_known_of_a_function_is_not_read_again(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty of them are asked about by each plugin and check; a new host reads all of it anew."""
    base = tree.device(CARD, driver="bochs-drm", group=14)
    tree.device(SOUND, driver="snd_hda_intel", group=14)
    tree.write(f"{base}/drm/card0/dev", "226:0\n")
    host = tree.host()
    host.functions(CARD)
    asked: list[str] = []
    for name in ("listdir", "open", "readlink"):
        _record(monkeypatch, name, asked)
    for address in (CARD, SOUND):
        host.nodes(address), host.dependents(address), host.group(address), host.displays()
        host.unseen((address,)), host.framebuffers(address)
    own = [path for path in asked if path.endswith((CARD, SOUND, "/class", "/driver", "/iommu_group"))]
    assert own == []
    tree.write(f"{base}/class", "0x040300\n")
    assert (host.kind(CARD), tree.host().kind(CARD)) == (0x0300, 0x0403)


def _record(monkeypatch: pytest.MonkeyPatch, name: str, asked: list[str]) -> None:
    """Keep the path of each call of os.`name` in `asked`."""
    real = getattr(os, name)

    def called(path: str, *args: object, **more: object) -> object:
        asked.append(str(path))
        return real(path, *args, **more)

    monkeypatch.setattr(os, name, called)
