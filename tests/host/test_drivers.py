"""PCI drivers and the devices on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from host_tree import Tree

CARD, SOUND = "0000:01:00.0", "0000:01:00.1"


def test_a_driver_is_present_when_it_is_registered(tree: Tree) -> None:
    tree.device(CARD, driver="nvidia")
    host = tree.host()
    assert host.driver_present("nvidia")
    assert not host.driver_present("vfio-pci")
    assert not host.driver_present("")


def test_a_driver_named_as_the_kernel_names_variants_is_a_vfio_driver(tree: Tree) -> None:
    host = tree.host()
    assert host.is_vfio_driver("vfio-pci")
    assert host.is_vfio_driver("nvgrace_gpu_vfio_pci")
    assert host.is_vfio_driver("xe-vfio-pci")
    assert not host.is_vfio_driver("vfio-pci-core-test")
    assert not host.is_vfio_driver("novfio-pcie")
    assert not host.is_vfio_driver("nvidia")
    assert not host.is_vfio_driver("")


def test_a_driver_whose_module_builds_on_vfio_pci_core_is_a_vfio_driver(tree: Tree) -> None:
    tree.module("vfio_pci_core", "1", holders=("grid",))
    tree.module("grid", drivers=("gridpass",))
    host = tree.host()
    assert host.is_vfio_driver("gridpass")
    assert not host.is_vfio_driver("builtin")


def test_devices_on_a_module_are_those_on_any_of_its_drivers(tree: Tree) -> None:
    tree.device(CARD, driver="nvidia")
    tree.device(SOUND, driver="snd_hda_intel")
    tree.device("0000:02:00.0", driver="nvidia")
    tree.module("nvidia", drivers=("nvidia",))
    tree.module("snd_hda_intel", drivers=("snd_hda_intel",))
    assert tree.host().devices_on_module("nvidia") == (CARD, "0000:02:00.0")


def test_the_kernels_own_list_of_a_modules_drivers_is_used(tree: Tree) -> None:
    tree.device(CARD, driver="nvidia")
    tree.module("nvidia")
    tree.link("sys/module/nvidia/drivers/pci:nvidia", "../../../bus/pci/drivers/nvidia")
    tree.link("sys/module/nvidia/drivers/platform:nvidia", "../../../bus/platform/drivers/nvidia")
    assert tree.host().devices_on_module("nvidia") == (CARD,)


def test_a_module_without_drivers_has_no_devices(tree: Tree) -> None:
    tree.device(CARD, driver="nvidia")
    assert tree.host().devices_on_module("nvidia_uvm") == ()


def test_the_module_of_a_driver_is_none_when_it_is_built_in(tree: Tree) -> None:
    tree.device(CARD, driver="nvidia")
    tree.module("nvidia", drivers=("nvidia",))
    tree.device(SOUND, driver="snd_hda_intel")
    host = tree.host()
    assert host.driver_module("nvidia") == "nvidia"
    assert host.driver_module("snd_hda_intel") is None
    assert host.driver_module("absent") is None
