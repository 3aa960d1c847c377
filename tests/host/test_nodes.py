"""The device nodes of a function: by sysfs, by the nvidia driver's own word, by VFIO group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vfioctl.host import nodes
from vfioctl.host.model import DeviceNode

if TYPE_CHECKING:
    from host_tree import Tree

CARD, SOUND = "0000:01:00.0", "0000:01:00.1"
NULL = (1, 3)


def paths_of(tree: Tree, address: str) -> list[str]:
    return [node.path for node in tree.host().nodes(address)]


def test_a_card_has_its_dri_framebuffer_and_i2c_nodes(tree: Tree) -> None:
    base = tree.device(CARD, driver="bochs-drm")
    tree.write(f"{base}/drm/card0/dev", "226:0\n")
    tree.write(f"{base}/drm/renderD128/dev", "226:128\n")
    tree.write(f"{base}/graphics/fb0/dev", "29:0\n")
    tree.write(f"{base}/i2c-3/i2c-dev/i2c-3/dev", "89:3\n")
    tree.write(f"{base}/drm/card0/card0-DP-1/i2c-4/i2c-dev/i2c-4/dev", "89:4\n")
    tree.write(f"{base}/drm/card0/card0-DP-1/drm_dp_aux0/dev", "241:0\n")
    assert set(tree.host().nodes(CARD)) == {
        DeviceNode("/dev/dri/card0", (226, 0), "dri", CARD),
        DeviceNode("/dev/dri/renderD128", (226, 128), "dri", CARD),
        DeviceNode("/dev/fb0", (29, 0), "fb", CARD),
        DeviceNode("/dev/i2c-3", (89, 3), "i2c", CARD),
        DeviceNode("/dev/i2c-4", (89, 4), "i2c", CARD),
        DeviceNode("/dev/drm_dp_aux0", (241, 0), "i2c", CARD),
    }


def test_the_i2c_bus_that_a_connector_names_is_the_cards(tree: Tree) -> None:
    base = tree.device(CARD)
    tree.write("sys/devices/elsewhere/i2c-7/i2c-dev/i2c-7/dev", "89:7\n")
    tree.write(f"{base}/drm/card0/card0-DP-1/status", "connected\n")
    tree.link(f"{base}/drm/card0/card0-DP-1/ddc", str(tree.root / "sys/devices/elsewhere/i2c-7"))
    assert paths_of(tree, CARD) == ["/dev/i2c-7"]


def test_a_sound_function_has_its_snd_nodes(tree: Tree) -> None:
    base = tree.device(SOUND, driver="snd_hda_intel")
    tree.write(f"{base}/sound/card1/controlC1/dev", "116:7\n")
    tree.write(f"{base}/sound/card1/pcmC1D3p/dev", "116:8\n")
    tree.write(f"{base}/sound/card1/id", "NVidia\n")
    assert paths_of(tree, SOUND) == ["/dev/snd/controlC1", "/dev/snd/pcmC1D3p"]


def test_a_node_with_a_malformed_number_is_left_out(tree: Tree) -> None:
    base = tree.device(CARD)
    tree.write(f"{base}/drm/card0/dev", "226\n")
    tree.write(f"{base}/drm/renderD128/dev", "226:128\n")
    assert paths_of(tree, CARD) == ["/dev/dri/renderD128"]


def test_a_function_that_is_not_there_has_no_nodes(tree: Tree) -> None:
    assert tree.host().nodes(CARD) == ()


def test_only_amdgpu_has_the_compute_node(tree: Tree) -> None:
    tree.link("dev/kfd", "/dev/null")
    tree.device(CARD, driver="amdgpu")
    tree.device("0000:02:00.0", driver="nouveau")
    assert tree.host().nodes(CARD) == (DeviceNode("/dev/kfd", NULL, "kfd", None),)
    assert tree.host().nodes("0000:02:00.0") == ()


@pytest.mark.parametrize(
    ("said", "minor"),
    [
        ("Model: \t\t NVIDIA RTX 4090\nDevice Minor: \t 1\nGPU Excluded:\t No\n", 1),
        ("Device Minor: \t first\n", None),
        ("Model: x\n", None),
        ("", None),
        (None, None),
    ],
)
def test_the_nvidia_driver_says_the_minor_of_a_card(tree: Tree, said: str | None, minor: int | None) -> None:
    if said is not None:
        tree.write(f"proc/driver/nvidia/gpus/{CARD}/information", said)
    assert nodes.nvidia_minor(tree.paths, CARD) == minor


def test_a_plain_file_in_dev_is_no_node(tree: Tree) -> None:
    tree.device(CARD, driver="nvidia")
    tree.write("dev/nvidiactl")
    assert tree.host().nodes(CARD) == ()


def test_a_card_on_nvidia_has_its_own_node_and_those_of_the_driver(tree: Tree) -> None:
    """A symlink to a real character device stands for a node: only root may make one."""
    tree.device(CARD, driver="nvidia")
    tree.write(f"proc/driver/nvidia/gpus/{CARD}/information", "Device Minor: 1\n")
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1"):
        tree.link(f"dev/{name}", "/dev/null")
    assert set(tree.host().nodes(CARD)) == {
        DeviceNode("/dev/nvidia1", NULL, "nvidia", CARD),
        DeviceNode("/dev/nvidiactl", NULL, "nvidia", None),
        DeviceNode("/dev/nvidia-uvm", NULL, "nvidia", None),
        DeviceNode("/dev/nvidia-caps/nvidia-cap1", NULL, "nvidia", None),
    }


def test_a_given_function_has_its_group_and_its_vfio_device(tree: Tree) -> None:
    base = tree.device(CARD, driver="vfio-pci", group=14)
    tree.write(f"{base}/vfio-dev/vfio0/dev", "511:0\n")
    tree.link("dev/vfio/14", "/dev/null")
    assert tree.host().nodes(CARD) == (
        DeviceNode("/dev/vfio/devices/vfio0", (511, 0), "vfio", CARD),
        DeviceNode("/dev/vfio/14", NULL, "vfio", CARD),
    )


def test_a_function_on_its_host_driver_has_no_vfio_node(tree: Tree) -> None:
    tree.device(CARD, driver="nvme", group=14)
    tree.link("dev/vfio/14", "/dev/null")
    assert tree.host().nodes(CARD) == ()


def test_the_driver_of_a_usb_c_port_has_no_node_of_nvidias(tree: Tree) -> None:
    tree.link("dev/nvidiactl", "/dev/null")
    tree.device(CARD, driver="nvidia-gpu", **{"class": "0x0c8000"})
    assert paths_of(tree, CARD) == []


def test_an_accelerator_has_its_own_nodes(tree: Tree) -> None:
    base = tree.device(CARD, driver="habanalabs", **{"class": "0x120000"})
    tree.write(f"{base}/accel/accel0/dev", "261:0\n")
    assert tree.host().nodes(CARD) == (DeviceNode("/dev/accel/accel0", (261, 0), "accel", CARD),)
