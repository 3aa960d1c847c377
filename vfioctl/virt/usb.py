"""The USB devices of a node as its libvirt lists them, what each is, and which guest has it. Reads XML only.

https://libvirt.org/formatnode.html; classes are those of USB-IF, the one of keyboards is that of HID 1.11.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.frozen import frozen
from vfioctl.virt.connection import binding
from vfioctl.virt.devices import documents, identity

if TYPE_CHECKING:
    from libvirt import virConnect

    from vfioctl.virt.connection import Connection

HUB = "9"
KEYBOARD = ("3", "1", "1")  # class, subclass (it works in firmware), protocol


@frozen
class UsbDevice:
    """A device that is plugged in. `identity` is VENDOR:PRODUCT in hex, which several may share; `label` is for people.

    `bus` and `device` are its numbers, which change when it is plugged in again.
    """

    bus: int
    device: int
    identity: str
    label: str = ""
    hub: bool = False
    keyboard: bool = False

    @property
    def place(self) -> str:
        """Its numbers, such as "1.12"."""
        return f"{self.bus}.{self.device}"


def read_usb_devices(connection: Connection) -> tuple[UsbDevice, ...]:
    """The USB devices of the node, hubs too, by their numbers. Raises VfioctlError as `Connection.ask`."""
    return usb_devices(connection.ask(_documents, "its USB devices"))


def _documents(libvirt: virConnect) -> list[str]:
    module = binding()
    kinds = module.VIR_CONNECT_LIST_NODE_DEVICES_CAP_USB_DEV | module.VIR_CONNECT_LIST_NODE_DEVICES_CAP_USB_INTERFACE
    return documents(libvirt, kinds)


def usb_devices(listed: Iterable[str]) -> tuple[UsbDevice, ...]:
    """The devices that these documents describe: those of devices, and of the interfaces below them."""
    roots = [ET.fromstring(one) for one in listed]
    interfaces: dict[str, set[tuple[str, ...]]] = {}
    for root in roots:
        if (one := root.find("capability[@type='usb']")) is not None:
            numbers = tuple(one.findtext(part, "") for part in ("class", "subclass", "protocol"))
            interfaces.setdefault(root.findtext("parent", ""), set()).add(numbers)
    found = (
        _device(one, interfaces.get(root.findtext("name", ""), set()))
        for root in roots if (one := root.find("capability[@type='usb_device']")) is not None
    )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.bus, one.device)))


def _device(capability: ET.Element, interfaces: set[tuple[str, ...]]) -> UsbDevice:
    names = (capability.findtext("vendor", ""), capability.findtext("product", ""))
    return UsbDevice(
        int(capability.findtext("bus", "0")), int(capability.findtext("device", "0")),
        identity(capability.find("vendor"), capability.find("product")), " ".join(filter(None, names)),
        hub=any(one[0] == HUB for one in interfaces), keyboard=KEYBOARD in interfaces,
    )  # fmt: skip


def has_usb_device(xml: str, device: UsbDevice) -> bool:
    """Whether a guest has it: by its numbers, which libvirt adds while the guest runs, else by its identity."""
    sources = ET.fromstring(xml).iterfind("devices/hostdev[@type='usb']/source") if xml else ()
    return any(_is(one, device) for one in sources)


def _is(source: ET.Element, device: UsbDevice) -> bool:
    address = source.find("address")
    if address is not None:
        return (address.get("bus"), address.get("device")) == (str(device.bus), str(device.device))
    return identity(source.find("vendor"), source.find("product")) == device.identity
