"""What a driver's probe and remove do to the rest of the machine, by the kind of driver."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from vfioctl.testing.kernel import dependents, interfaces
from vfioctl.testing.kernel.devices import DeviceNode
from vfioctl.testing.kernel.nodes import Constant, Link
from vfioctl.testing.model import FakeModule

if TYPE_CHECKING:
    from vfioctl.testing.kernel.pci import Device, Driver, Pci

NVIDIA_MAJOR = 195
SOUND_MAJOR = 116
VFIO_MAJOR = 243
I2C_MAJOR = 89
VGA = 0x0300
NATIVE = ("display", "nvidia")


def is_native(pci: Pci, device: Device) -> bool:
    """Whether a native display driver is to be bound at the start."""
    driver = pci.drivers.get(device.spec.driver or "")
    return driver is not None and driver.kind in NATIVE


def attach(pci: Pci, device: Device, driver: Driver) -> None:
    """What appears when `driver` has bound `device`."""
    graphics = pci.kernel.graphics
    if driver.kind in NATIVE or (driver.kind == "vfio" and device.spec.class_code >> 8 == VGA):
        graphics.remove_aperture(device)
    if driver.kind == "display":
        graphics.add_card(device, driver.module, framebuffer=True)
    elif driver.kind == "nvidia":
        _attach_nvidia(pci, device, driver)
    elif driver.kind == "sound":
        _attach_sound(pci, device, driver)
    elif driver.kind == "vfio":
        device.settings["power/control"] = "auto"  # vfio_pci_core_register_device: pm_runtime_allow, seen on 6.1
    elif driver.kind == "network" and device.spec.network:
        interfaces.attach(pci.kernel, device, device.spec.network)
    elif driver.kind == "storage":
        pci.kernel.disks.attach(device)
    if driver.kind == "vfio" or device.spec.vfio:
        _offer_vfio(pci, device, driver)
    _attach_i2c(pci, device, driver)


def detach(pci: Pci, device: Device, driver: Driver) -> None:
    """What disappears when remove() of `driver` has run. Open nodes stay open and keep the module."""
    kernel = pci.kernel
    if driver.kind in NATIVE:
        kernel.graphics.remove_card(device)
        kernel.root.directory("proc/driver/nvidia/gpus").drop(device.address)
    _remove_i2c(pci, device)
    kernel.disks.detach(device)
    if driver.kind == "network" and device.spec.network:
        interfaces.detach(kernel, device.spec.network)
    _remove_classes(pci, device)
    if driver.kind == "vfio":
        device.driver = None
        device.settings["power/control"] = "on"  # vfio_pci_core_unregister_device: pm_runtime_forbid, seen on 6.1
    if driver.kind == "vfio" or device.spec.vfio:
        _forget_group(pci, device)
    dependents.vanish(pci, device)


def _remove_classes(pci: Pci, device: Device) -> None:
    """What the classes of the kernel show of the device, with its nodes."""
    kernel = pci.kernel
    for name in ("sound", "vfio-dev", "net"):
        device.directory.drop(name)
    for owned in tuple(kernel.nodes.by_path.values()):
        if owned.address == device.address:
            kernel.nodes.remove(owned.path)
    for name in ("sound", "net"):
        places = kernel.sys.directory(f"class/{name}")
        for entry, link in places.entries():
            if isinstance(link, Link) and f"/{device.address}/" in link.target:
                places.drop(entry)


def busy(pci: Pci, device: Device, driver: Driver) -> Callable[[], bool] | None:
    """Whether remove() waits now, as the question that it asks until it may go on; None: it does not wait.

    Display drivers never wait: the unbind passes although nodes are open. nvidia waits for its usage count, and the
    595 series for ever (NVIDIA/open-gpu-kernel-modules#1119); snd_hda_intel for open control and PCM nodes; vfio-pci
    for the user of the group. Each waits for the users of its virtual functions and mediated devices.
    """
    if dependents.in_use(pci, device):
        return lambda: dependents.in_use(pci, device)
    module = pci.kernel.modules.known[driver.module]
    if driver.kind == "nvidia":
        used = is_used(pci, device) or module.leaked
        if used and dict(module.parameters).get("wait_forever") == "Y":
            return lambda: True
        return (lambda: bool(is_used(pci, device) or module.leaked)) if used else None
    if driver.kind in ("sound", "vfio"):
        return (lambda: is_used(pci, device)) if is_used(pci, device) else None
    return None


def is_used(pci: Pci, device: Device) -> bool:
    if pci.kernel.processes.holders_of(device.address, live_only=False):
        return True
    return device.is_offered and dependents.is_open(pci, f"/dev/vfio/{device.spec.group}")


def add_side_card(pci: Pci, device: Device, module: FakeModule) -> None:
    """nvidia_drm: the card belongs to nvidia_drm, the function stays on nvidia."""
    if not pci.kernel.graphics.has_card(device):
        fbdev = pci.kernel.modules.loaded[module.name].parameters.get("fbdev") == "Y"
        pci.kernel.graphics.add_card(device, module.name, framebuffer=fbdev)


def _attach_nvidia(pci: Pci, device: Device, driver: Driver) -> None:
    taken = {node.path for node in pci.kernel.nodes.by_path.values()}
    minor = next(minor for minor in itertools.count() if f"/dev/nvidia{minor}" not in taken)
    node = DeviceNode(f"/dev/nvidia{minor}", os.makedev(NVIDIA_MAJOR, minor), driver.module, device.address)
    pci.kernel.nodes.add(node)
    information = (
        f"Model: \t\t {device.spec.model_name}\nIRQ:   \t\t 139\nGPU UUID: \t {device.spec.gpu_uuid}\n"
        f"Video BIOS: \t 94.02.42.40.9f\nBus Type: \t PCIe\nBus Location: \t {device.address}\nDevice Minor: \t {minor}"
    )
    gpus = pci.kernel.root.directory("proc/driver/nvidia/gpus")
    gpus.directory(device.address).add("information", Constant(information))
    for module in pci.kernel.modules.loaded.values():
        if module.spec.drm_for == driver.name:
            add_side_card(pci, device, module.spec)


def _attach_sound(pci: Pci, device: Device, driver: Driver) -> None:
    places = pci.kernel.sys.directory("class/sound")
    index = next(index for index in itertools.count() if f"card{index}" not in places.children)
    card = device.directory.directory("sound").directory(f"card{index}")
    card.add("id", Constant(f"HDMI{index}"))
    card.add("number", Constant(str(index)))
    card.add("device", Link(f"../../../{device.address}"))
    places.add(f"card{index}", Link(f"../../{device.sysfs}/sound/card{index}"))
    for name, minor in ((f"controlC{index}", 32 * index), (f"pcmC{index}D3p", 32 * index + 3)):
        place = card.directory(name)
        place.add("dev", Constant(f"{SOUND_MAJOR}:{minor}"))
        place.add("device", Link(f"../../card{index}"))
        places.add(name, Link(f"../../{device.sysfs}/sound/card{index}/{name}"))
        node = DeviceNode(f"/dev/snd/{name}", os.makedev(SOUND_MAJOR, minor), driver.module, device.address)
        pci.kernel.nodes.add(node, f"{device.sysfs}/sound/card{index}/{name}")


def _offer_vfio(pci: Pci, device: Device, driver: Driver) -> None:
    taken = sum(other.is_offered for other in pci.devices.values())
    device.directory.directory("vfio-dev").directory(f"vfio{taken}")
    path = f"/dev/vfio/{device.spec.group}"
    if device.spec.group is not None and path not in pci.kernel.nodes.by_path:
        pci.kernel.nodes.add(DeviceNode(path, os.makedev(VFIO_MAJOR, device.spec.group), driver.module))


def _forget_group(pci: Pci, device: Device) -> None:
    """The group's node goes with its last function that a driver offers through VFIO."""
    group = device.spec.group
    if not any(other.spec.group == group and other.is_offered for other in pci.devices.values()):
        pci.kernel.nodes.remove(f"/dev/vfio/{group}")


def _remove_i2c(pci: Pci, device: Device) -> None:
    for entry in tuple(device.directory.children):
        if entry.startswith("i2c-"):
            device.directory.drop(entry)
            pci.kernel.sys.directory("class/i2c-dev").drop(entry)


def _attach_i2c(pci: Pci, device: Device, driver: Driver) -> None:
    if driver.kind == "vfio":
        return
    for bus in device.spec.i2c:
        place = device.directory.directory(f"i2c-{bus}")
        place.add("name", Constant(f"{driver.name} i2c adapter {bus}"))
        character = place.directory("i2c-dev").directory(f"i2c-{bus}")
        character.add("dev", Constant(f"{I2C_MAJOR}:{bus}"))
        sysfs = f"{device.sysfs}/i2c-{bus}/i2c-dev/i2c-{bus}"
        link = Link(f"../../{sysfs}")
        pci.kernel.sys.directory("class/i2c-dev").add(f"i2c-{bus}", link)
        node = DeviceNode(f"/dev/i2c-{bus}", os.makedev(I2C_MAJOR, bus), driver.module, device.address)
        pci.kernel.nodes.add(node, sysfs)
