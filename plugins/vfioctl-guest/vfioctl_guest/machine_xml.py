"""The XML of a new guest, in the words in which libvirt gives it back. Pure.

What libvirt adds by itself is addresses, aliases, and the controllers that they need (formatdomain). Everything else is
written here, so that the plan shows the guest as it will be.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.plugin import hostdev_element
from vfioctl_guest import windows
from vfioctl_guest.machine import BIOS, SECURE
from vfioctl_guest.seed import mark

if TYPE_CHECKING:
    from vfioctl_guest.machine import Board, Card, Drive, Machine

SPARE_PORTS = 14  # for devices that are plugged in later: as many as virt-install leaves
TIMERS = (("rtc", "tickpolicy", "catchup"), ("pit", "tickpolicy", "delay"), ("hpet", "present", "no"))
EVENTS = (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy"))
AGENT = "org.qemu.guest_agent.0"  # the channel that qemu-ga opens in the guest
LOOPBACK = "127.0.0.1"


def document(machine: Machine) -> str:
    """The XML of `machine`, indented."""
    board, kib = machine.board, str(machine.memory >> 10)
    root = ET.Element("domain", type=board.kind)
    for tag, text in (("name", machine.name), ("uuid", machine.uuid)):
        _add(root, tag, text)
    if machine.seed:
        mark.write(root, machine.seed, run=machine.runs)
    for tag in ("memory", "currentMemory"):
        _add(root, tag, kib, unit="KiB")
    if machine.page:
        pages = _add(_add(root, "memoryBacking"), "hugepages")
        _add(pages, "page", size=str(machine.page >> 10), unit="KiB")
    _add(root, "vcpu", str(machine.cpus), placement="static")
    _system(root, machine)
    _features(root, machine)
    _cpu(root, board)
    clock = _add(root, "clock", offset="utc")
    for name, key, value in TIMERS:
        _add(clock, "timer", name=name, **{key: value})
    if machine.windows:
        windows.add_clock(clock, board)
    for tag, text in EVENTS:
        _add(root, tag, text)
    power = _add(root, "pm")
    for tag in ("suspend-to-mem", "suspend-to-disk"):
        _add(power, tag, enabled="no")
    _devices(_add(root, "devices"), machine)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _system(root: ET.Element, machine: Machine) -> None:
    """libvirt chooses the firmware by its features: a bare secure='no' gives one that boots signed systems only."""
    system = _add(root, "os")
    _add(system, "type", "hvm", arch=machine.board.arch, machine=machine.board.machine)
    if machine.firmware == BIOS:
        return
    system.set("firmware", "efi")
    enabled = "yes" if machine.firmware == SECURE else "no"
    firmware = _add(system, "firmware")
    for name in ("enrolled-keys", "secure-boot"):
        _add(firmware, "feature", enabled=enabled, name=name)
    _add(system, "nvram", machine.nvram)


def _features(root: ET.Element, machine: Machine) -> None:
    features = _add(root, "features")
    for tag in ("acpi", "apic"):
        _add(features, tag)
    if machine.windows:
        windows.add_features(features, machine.board)
    if machine.firmware == SECURE:
        _add(features, "smm", state="on")


def _cpu(root: ET.Element, board: Board) -> None:
    if board.cpu:
        _add(root, "cpu", mode=board.cpu, check="none", migratable="on")


def _devices(devices: ET.Element, machine: Machine) -> None:
    order = count(len(machine.cards) + 1 if machine.network_boot else 1)
    _add(devices, "emulator", machine.board.emulator)
    for drive in machine.drives:
        _drive(devices, drive, next(order) if drive.boots else 0)
    _add(devices, "controller", type="usb", model="qemu-xhci", ports="15")
    _add(devices, "controller", type="pci", index="0", model="pcie-root")
    for number in range(1, SPARE_PORTS + len(machine.hostdevs) + 1):
        _add(devices, "controller", type="pci", index=str(number), model="pcie-root-port")
    order = count(1) if machine.network_boot else order
    for card in machine.cards:
        _card(devices, card, next(order))
    _talking(devices)
    _add(devices, "input", type="tablet", bus="usb")
    if machine.tpm:
        tpm = _add(devices, "tpm", model=machine.board.tpm)
        _add(tpm, "backend", type="emulator", version="2.0")
    graphics = _add(devices, "graphics", type="vnc", port="-1", autoport="yes", listen=LOOPBACK)
    _add(graphics, "listen", type="address", address=LOOPBACK)
    _add(_add(devices, "video"), "model", type=machine.board.video, heads="1", primary="yes")
    devices.extend(map(hostdev_element, machine.hostdevs))
    # All memory of a guest with one is pinned for the device, and QEMU inhibits ballooning (ram_block_discard_disable).
    _add(devices, "memballoon", model="none" if machine.hostdevs else "virtio")
    _add(_add(devices, "rng", model="virtio"), "backend", "/dev/urandom", model="random")


def _drive(devices: ET.Element, drive: Drive, order: int) -> None:
    """What the guest discards is given back to the file system of the host."""
    disk = _add(devices, "disk", type="block" if drive.block else "file", device="cdrom" if drive.cdrom else "disk")
    driver = _add(disk, "driver", name="qemu", type=drive.format)
    if not drive.readonly:
        driver.set("discard", "unmap")
    _add(disk, "source", **{"dev" if drive.block else "file": drive.path})
    _add(disk, "target", dev=drive.target, bus=drive.bus)
    if drive.readonly:
        _add(disk, "readonly")
    if order:
        _add(disk, "boot", order=str(order))


def _card(devices: ET.Element, card: Card, order: int) -> None:
    interface = _add(devices, "interface", type="network")
    _add(interface, "mac", address=card.mac)
    _add(interface, "source", network=card.network)
    _add(interface, "model", type="virtio")
    _add(interface, "boot", order=str(order))


def _talking(devices: ET.Element) -> None:
    """The serial port is a pty, which `virsh console` opens; the agent has a channel of its own."""
    target = _add(_add(devices, "serial", type="pty"), "target", type="isa-serial", port="0")
    _add(target, "model", name="isa-serial")
    _add(_add(devices, "console", type="pty"), "target", type="serial", port="0")
    _add(_add(devices, "channel", type="unix"), "target", type="virtio", name=AGENT)


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    made = ET.SubElement(parent, tag, attributes)
    made.text = text
    return made


def targets(prefix: str) -> Iterator[str]:
    """The names of the disks of a bus in their order: vda, vdb, …"""
    return (f"{prefix}{chr(ord('a') + number)}" for number in range(26))
