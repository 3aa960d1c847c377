"""A USB device of the node that a guest is to get: which one is meant, and what speaks against it. Asks libvirt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.plugin import (
    Finding,
    Refused,
    Severity,
    has_usb_device,
    no_such,
    read_guests,
    read_usb_devices,
    usb_mounts,
)
from vfioctl_guest import hotplug
from vfioctl_guest.names import NOTHING_CHANGED
from vfioctl_guest.places import Change

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, Guest, UsbDevice
    from vfioctl_guest.life import Subject

IDENTITY = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")
PLACE = re.compile(r"0*(\d{1,3})\.0*(\d{1,3})|(\d{3}):(\d{3})")  # the latter as `node devices` has it


def usb_word(word: str) -> str:
    """VENDOR:PRODUCT in small letters, or BUS.DEVICE without noughts. Raises Refused("usb.bad_name")."""
    if IDENTITY.fullmatch(word.lower()):
        return word.lower()
    if found := PLACE.fullmatch(word):
        bus, device = (int(one) for one in found.groups() if one is not None)
        return f"{bus}.{device}"
    raise Refused(
        "usb.bad_name", f"{word!r} names no USB device; expected VENDOR:PRODUCT in hex, or BUS.DEVICE: 046d:c31c, 1.4.",
        state=NOTHING_CHANGED, hints=("See what there is with: vfioctl node devices --kind usb",),
    )  # fmt: skip


def usb_for(call: Call, connection: Connection, about: Subject, word: str) -> Change:
    """The device `word` for the guest, by its identity unless others share that. Raises Refused("usb.*")."""
    every = read_usb_devices(connection)
    device = chosen(every, usb_word(word))
    twins = [one for one in every if one.identity == device.identity]
    findings = (*_of_host(call, about, device, every), *_of_guests(about, device, read_guests(connection)),
                *_of_guest(about, device, numbered=len(twins) > 1))  # fmt: skip
    return Change("attach", hotplug.usb(device, numbered=len(twins) > 1), findings=findings)


def chosen(every: Iterable[UsbDevice], word: str) -> UsbDevice:
    """The one that `word` names. Raises Refused("usb.unknown", "usb.ambiguous", "usb.hub")."""
    known = [one for one in every if not one.hub]
    found = [one for one in every if word in (one.place, one.identity)]
    if not found:
        names = [name for one in known for name in (one.identity, one.place)]
        refused = no_such("usb.unknown", f"The node has no USB device {word!r}", word, names, "It has")
        refused.hints = (*refused.hints, "See what is plugged in there with: lsusb")
        raise refused
    if found[0].hub:
        said = f"The USB device {word} is a hub: a guest gets what is plugged into it, one by one."
        raise Refused("usb.hub", said, state=NOTHING_CHANGED)
    if len(found) > 1:
        listed = ", ".join(one.place for one in found)
        raise Refused("usb.ambiguous", f"{len(found)} USB devices are {word} {found[0].label}".rstrip() + ".",
                      state=NOTHING_CHANGED, hints=(f"Name one by its numbers: {listed}",))  # fmt: skip
    return found[0]


def _of_host(call: Call, about: Subject, device: UsbDevice, every: Iterable[UsbDevice]) -> Iterator[Finding]:
    """What the host loses with it; what is mounted on another node cannot be seen."""
    if about.local and (places := usb_mounts(call.paths, device.bus, device.device)):
        said = f"The {_called(device)} is in use by this host: {', '.join(places)}."
        yield Finding("usb.in_use", said, hint="Unmount it first.")
    if device.keyboard and sum(one.keyboard for one in every) == 1:
        said = f"The {_called(device)} is the only keyboard on USB of {about.node}, without it while the guest runs."
        yield Finding("usb.only_keyboard", said, Severity.WARN, hint=f"Get it back with: {_back(about, device)}")


def _of_guests(about: Subject, device: UsbDevice, guests: Iterable[Guest]) -> Iterator[Finding]:
    for other in guests:
        if other.uuid == about.guest.uuid:
            continue
        if has_usb_device(other.live_xml, device):
            yield Finding("usb.in_use", f"The {_called(device)} is in use by the running guest {other.name}.",
                          hint="Detach it there first.")  # fmt: skip
        elif has_usb_device(other.xml, device):
            said = f"Guest {other.name} gets the {_called(device)} at its next start: only one of the two can have it."
            yield Finding("usb.in_use", said, Severity.WARN)


def _of_guest(about: Subject, device: UsbDevice, *, numbered: bool) -> Iterator[Finding]:
    xml = about.guest.live_xml or about.guest.xml
    if any(has_usb_device(one, device) for one in (about.guest.xml, about.guest.live_xml)):
        yield Finding("usb.in_use", f"Guest {about.name} has the {_called(device)} already.")
    if ET.fromstring(xml).find("devices/controller[@type='usb'][@model='none']") is not None:
        said = f"Guest {about.name} has no USB: its configuration forbids it a controller."
        yield Finding("usb.no_controller", said, hint="Change <controller type='usb' model='none'/> with: virsh edit")
    if numbered:
        said = f"Another device is {device.identity} too: this one is named by its numbers, {device.place}."
        yield Finding("usb.numbers", f"{said} The guest does not start once they change: when it is plugged in again.",
                      Severity.WARN, hint=f"Then attach it once more, after: {_back(about, device)}")  # fmt: skip


def _called(device: UsbDevice) -> str:
    return f"USB device {device.identity} {device.label}".rstrip()


def _back(about: Subject, device: UsbDevice) -> str:
    return f"vfioctl guest detach {about.called} --usb {device.identity}"
