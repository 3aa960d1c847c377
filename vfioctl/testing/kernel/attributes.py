"""The files of a PCI function in sysfs, and its IOMMU group. Which of them hang under the device lock was seen on 6.1.

Hang: driver_override and uevent (read and write), power/control and reset (write). Safe: vendor, class, config,
power_state, runtime_status, reset_method (read).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from vfioctl.testing.kernel import drivers
from vfioctl.testing.kernel.nodes import Attribute, Constant, Directory, Link
from vfioctl.testing.model import FakeDevice

if TYPE_CHECKING:
    from vfioctl.testing.kernel.pci import Device, Pci

BRIDGE = 0x06
RESETS = ("device_specific", "acpi", "flr", "af_flr", "pm", "bus", "cxl_bus")


def initial(spec: FakeDevice) -> dict[str, str]:
    """The writable settings of a function as they are at boot."""
    return {
        "power/control": spec.power_control,
        "d3cold_allowed": spec.d3cold_allowed,
        "reset_method": " ".join(spec.reset_methods),
        "enable": "1",
        "numa_node": str(spec.numa_node),
    }


def fill(pci: Pci, device: Device) -> None:
    """Make the files of `device`."""
    spec, directory = device.spec, device.directory
    for name, value in (
        ("vendor", f"0x{spec.vendor:04x}"), ("device", f"0x{spec.device:04x}"), ("class", f"0x{spec.class_code:06x}"),
        ("subsystem_vendor", f"0x{spec.subsystem_vendor:04x}"), ("revision", "0xa1"), ("irq", "16"),
        ("subsystem_device", f"0x{spec.subsystem_device:04x}"),
        ("local_cpulist", "0-15"), ("modalias", modalias(spec)),
    ):  # fmt: skip
        directory.add(name, Constant(value))
    directory.add("power_state", Attribute(lambda: f"{power_state(pci, device)}\n"))
    directory.add("config", Constant(config_space(spec)))
    directory.add("subsystem", Link("../" * (device.depth + 1) + "bus/pci"))
    if spec.boot_vga is not None:
        directory.add("boot_vga", Constant(str(int(spec.boot_vga))))
    for consumer in spec.consumers:
        directory.add(f"consumer:pci:{consumer}", Link(f"../../virtual/devlink/{consumer}"))
    for other in pci.devices.values():
        if spec.address in other.spec.consumers:
            directory.add(f"supplier:pci:{other.address}", Link(f"../../virtual/devlink/{other.address}"))
    _fill_settings(pci, device)
    _fill_locked(pci, device)
    _join_group(pci, device)


def power_state(pci: Pci, device: Device) -> str:
    """As the machine says until somebody writes; on vfio-pci, with nobody on it, asleep as deep as it may."""
    control, on_vfio = device.settings["power/control"], device.driver is not None and device.driver.kind == "vfio"
    if not on_vfio and control in ("auto", device.spec.power_control):
        return device.spec.power_state
    if control == "on" or drivers.is_used(pci, device):
        return "D0"
    return "D3cold" if device.settings["d3cold_allowed"] == "1" else "D3hot"


def _fill_settings(pci: Pci, device: Device) -> None:
    directory = device.directory
    power = directory.directory("power")
    power.add("control", _setting(pci, device, "power/control", locked=True, allowed=("on", "auto")))
    power.add("runtime_status", Constant("active"))
    directory.add("d3cold_allowed", _setting(pci, device, "d3cold_allowed", allowed=("0", "1")))
    directory.add("enable", _setting(pci, device, "enable"))
    directory.add("numa_node", _setting(pci, device, "numa_node"))
    if device.spec.reset_methods:
        directory.add("reset_method", _setting(pci, device, "reset_method", allowed=_resets(pci, device)))
        directory.add("reset", Attribute(None, _locked(pci, device, lambda _text: None)))


def _resets(pci: Pci, device: Device) -> tuple[str, ...]:
    """What reset_method takes; seen on 6.1: not "bus" beside a second function, though it reads so at boot."""
    slot = device.address.rpartition(".")[0]
    alone = sum(other.address.startswith(f"{slot}.") for other in pci.kernel.spec.devices) == 1
    return tuple(method for method in RESETS if alone or method != "bus")


def _fill_locked(pci: Pci, device: Device) -> None:
    def show_override() -> str | None:
        return f"{device.override or '(null)'}\n"

    def store_override(text: str) -> None:
        device.override = text.strip("\n") or None

    directory = device.directory
    directory.add("driver_override", Attribute(
        lambda: pci.under_lock(device, show_override) or "", _locked(pci, device, store_override)))
    directory.add("uevent", Attribute(
        lambda: pci.under_lock(device, lambda: uevent(device)) or "", _locked(pci, device, lambda _text: None)))
    directory.add("remove", Attribute(None, lambda _text: pci.remove(device)))
    directory.add("rescan", Attribute(None, lambda _text: pci.rescan()))


def _setting(
    pci: Pci, device: Device, name: str, *, locked: bool = False, allowed: tuple[str, ...] = ()
) -> Attribute:
    def store(text: str) -> None:
        if allowed and not set(text.split()) <= set(allowed):
            raise OSError(errno.EINVAL, "not a valid value")
        device.settings[name] = text.strip()

    return Attribute(lambda: f"{device.settings[name]}\n", _locked(pci, device, store) if locked else store)


def _locked(pci: Pci, device: Device, store: Callable[[str], None]) -> Callable[[str], None]:
    def wait_and_store(text: str) -> None:
        pci.under_lock(device, lambda: store(text))

    return wait_and_store


def modalias(spec: FakeDevice) -> str:
    base, sub, interface = spec.class_code >> 16, spec.class_code >> 8 & 0xFF, spec.class_code & 0xFF
    return (
        f"pci:v{spec.vendor:08X}d{spec.device:08X}sv{spec.subsystem_vendor:08X}sd{spec.subsystem_device:08X}"
        f"bc{base:02X}sc{sub:02X}i{interface:02X}"
    )


def uevent(device: Device) -> str:
    spec = device.spec
    driver = f"DRIVER={device.driver.name}\n" if device.driver else ""
    return (
        f"{driver}PCI_CLASS={spec.class_code:X}\nPCI_ID={spec.vendor:04X}:{spec.device:04X}\n"
        f"PCI_SUBSYS_ID={spec.subsystem_vendor:04X}:{spec.subsystem_device:04X}\n"
        f"PCI_SLOT_NAME={spec.address}\nMODALIAS={modalias(spec)}\n"
    )


def config_space(spec: FakeDevice) -> bytes:
    """The first 64 bytes, as far as anyone looks at them; a bridge says so in its header type."""
    header = 1 if spec.class_code >> 16 == BRIDGE else 0x80 if spec.address.endswith(".0") else 0
    data = struct.pack(
        "<HHHHIBBBB", spec.vendor, spec.device, 0x0407, 0x0010, spec.class_code << 8 | 0xA1, 0, 0, header, 0
    )
    return (data + b"\0" * 28 + struct.pack("<HH", spec.subsystem_vendor, spec.subsystem_device)).ljust(64, b"\0")


def _join_group(pci: Pci, device: Device) -> None:
    number = device.spec.group
    if number is None or not pci.kernel.spec.iommu:
        return
    group = pci.kernel.sys.directory(f"kernel/iommu_groups/{number}")
    group.add("type", Constant(pci.kernel.spec.group_type))
    link = Link(f"../../../../{device.sysfs}")
    group.directory("devices").add(device.address, link)
    device.directory.add("iommu_group", Link("../" * (device.depth + 1) + f"kernel/iommu_groups/{number}"))
    pci.kernel.sys.directory("class/iommu").directory("dmar0")


def leave_group(pci: Pci, device: Device) -> None:
    """Take a function that is gone out of its group."""
    if device.spec.group is not None and pci.kernel.spec.iommu:
        members: Directory = pci.kernel.sys.directory(f"kernel/iommu_groups/{device.spec.group}/devices")
        members.drop(device.address)
