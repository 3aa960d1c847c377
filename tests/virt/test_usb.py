"""USB devices as libvirt lists them: which is a hub, which a keyboard, and which guest has one."""

from __future__ import annotations

from pathlib import Path

import pytest

from vfioctl.virt.connection import connect
from vfioctl.virt.nodes import Node
from vfioctl.virt.usb import UsbDevice, has_usb_device, read_usb_devices, usb_devices

DEVICE = """\
<device><name>usb_{name}</name><parent>computer</parent><capability type='usb_device'><bus>{bus}</bus>
<device>{number}</device><product id='0x{product}'>{label}</product><vendor id='0x{vendor}'/></capability></device>"""
INTERFACE = """\
<device><name>usb_{name}_1_{n}</name><parent>usb_{name}</parent><capability type='usb'><number>{n}</number>
<class>{kind[0]}</class><subclass>{kind[1]}</subclass><protocol>{kind[2]}</protocol></capability></device>"""
KEYBOARD, MOUSE, HUB = ("3", "1", "1"), ("3", "1", "2"), ("9", "0", "0")
STICK = UsbDevice(1, 12, "0781:5581")
HOSTDEV = "<domain><devices><hostdev mode='subsystem' type='{}'><source>{}</source></hostdev></devices></domain>"
IDENTITY = "<vendor id='0x0781'/><product id='0x5581'/>"


def device(number: int, identity: str, *kinds: tuple[str, str, str], label: str = "") -> tuple[str, ...]:
    vendor, _, product = identity.partition(":")
    about = DEVICE.format(name=number, bus=1, number=number, product=product, vendor=vendor, label=label)
    return (about, *(INTERFACE.format(name=number, kind=kind, n=n) for n, kind in enumerate(kinds)))


EVERY = (*device(4, "046d:c31c", KEYBOARD, MOUSE, label="Keyboard K120"), *device(1, "1d6b:0002", HUB),
         *device(12, "0781:5581", ("8", "6", "80")))  # fmt: skip


def test_a_device_is_what_its_interfaces_are() -> None:
    hub, keyboard, stick = usb_devices(EVERY)
    assert (hub.hub, hub.keyboard) == (True, False)
    assert (keyboard.hub, keyboard.keyboard, keyboard.label) == (False, True, "Keyboard K120")
    assert (stick.hub, stick.keyboard, stick.place, stick.identity) == (False, False, "1.12", "0781:5581")


def test_libvirt_lists_them(tmp_path: Path) -> None:
    pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
    (tmp_path / "node.xml").write_text(f"<node>{''.join(EVERY)}</node>")
    with connect(Node("mock", f"test://{tmp_path}/node.xml")) as connection:
        assert read_usb_devices(connection) == usb_devices(EVERY)


@pytest.mark.parametrize(("source", "has"), [
    (IDENTITY, True), ("<address bus='1' device='12'/>", True), (f"{IDENTITY}<address bus='1' device='12'/>", True),
    ("<vendor id='0x0781'/><product id='0x0001'/>", False), ("<address bus='2' device='12'/>", False),
    (f"{IDENTITY}<address bus='1' device='13'/>", False),
])  # fmt: skip
def test_a_guest_has_it_by_its_numbers_or_else_by_its_identity(source: str, *, has: bool) -> None:
    assert has_usb_device(HOSTDEV.format("usb", source), STICK) is has


def test_a_function_on_pci_and_no_guest_have_none() -> None:
    assert not has_usb_device(HOSTDEV.format("pci", "<address bus='1' device='12'/>"), STICK)
    assert not has_usb_device("", STICK)
