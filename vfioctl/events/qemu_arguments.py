"""Devices of the host that a domain hands to QEMU in QEMU's own arguments, which libvirt passes on unread.

<qemu:commandline> and <qemu:override> (libvirt.org/drvqemu.html); `-device`, `-set`, `-drive` and `-blockdev` as in
QEMU's manual (qemu.org/docs/master/system/invocation.html). Both forms of a value are read: "vfio-pci,host=01:00.0",
where a comma inside is doubled, and JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from vfioctl.checking import TYPE_CHECKING
from vfioctl.events.element import Element, short
from vfioctl.events.model import Hostdev
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from typing import Any, TypeAlias

NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
DRIVERS = ("vfio-pci", "vfio-pci-nohotplug")
HOST, PATH = "host", "sysfsdev"
OPTION = re.compile(r"--?(device|set|drive|blockdev|readconfig)(?:[ =]\s*(.+))?", re.DOTALL)
ADDRESS = re.compile(r"(?:(?:0x)?([0-9a-f]{1,8}):)?(?:0x)?([0-9a-f]{1,2}):(?:0x)?([01]?[0-9a-f])\.([0-7])")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NVME = re.compile(r"nvme://([^/,\"]+)")  # QEMU's own driver for a whole drive, through VFIO

Properties: TypeAlias = "dict[str, Any]"


@frozen
class Passed:
    """What QEMU's arguments take from the host; `unseen` are arguments that take something which they do not name."""

    hostdevs: tuple[Hostdev, ...] = ()
    unseen: tuple[str, ...] = ()


def read_arguments(root: Element) -> Passed:
    """What the arguments in the domain `root` take."""
    options = tuple(_options(arguments(root)))
    found: dict[Hostdev, None] = {}
    unseen = [f"-{option} {short(value)}" for option, value in options if option == "readconfig"]
    for text, properties in _devices(options):
        hostdev = _hostdev(properties)
        if hostdev:
            found[hostdev] = None
        else:
            unseen.append(f"-device {short(text)}")
    found.update((hostdev, None) for hostdev in (*_drives(options), *_overridden(root)))
    return Passed(tuple(found), tuple(unseen))


def roms(root: Element) -> tuple[str, ...]:
    """The ROM files of devices in the arguments of `root`; not those that QEMU hands to the firmware itself."""
    found = (_properties(value) for option, value in _options(arguments(root)) if option == "device")
    named = (device for device in found if str(device.get("rombar", "1")) not in ("0", "off"))
    return tuple(str(device["romfile"]) for device in named if device.get("romfile"))


def arguments(root: Element) -> tuple[str, ...]:
    """The words that the domain `root` adds to QEMU's command line, in order."""
    command_line = root.find(f"{_prefix(root)}:commandline")
    return tuple(
        word.get("value") or "" for word in (command_line.all(f"{_prefix(root)}:arg") if command_line else ())
    )  # fmt: skip


def _prefix(root: Element) -> str:
    """The prefix of libvirt's QEMU namespace: libvirt writes "qemu", an XML of somebody else may have another."""
    declared = (item for element in (root, *root.children) for item in element.attributes.items())
    named = (name[len("xmlns:") :] for name, value in declared if value == NAMESPACE and ":" in name)
    return next(named, "qemu")


def _options(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(option, its value), the value being the next word or behind a blank in the same one."""
    for word, following in pairwise((*words, "")):
        if match := OPTION.fullmatch(word.strip()):
            yield match[1], (match[2] or following).strip()


def _properties(text: str) -> Properties:
    """The properties in an option's value; the first word without a name is the driver."""
    if text.startswith("{"):
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):  # QEMU refuses it
            return {}
        return said if isinstance(said, dict) else {}
    found: Properties = {}
    for part in text.replace(",,", "\0").split(","):
        key, is_set, value = part.replace("\0", ",").partition("=")
        found.update({key: value} if is_set else {} if found else {"driver": key})
    return found


def _devices(options: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Properties]]:
    """Each device of VFIO with its properties, with what `-set device.ID.KEY=VALUE` changes of them."""
    every = [(value, _properties(value)) for option, value in options if option == "device"]
    devices = [(text, properties) for text, properties in every if properties.get("driver") in DRIVERS]
    known = {str(properties["id"]): properties for _, properties in devices if properties.get("id")}
    for name, key, value in _sets(options):
        if name in known:
            known[name][key] = value
        elif key in (HOST, PATH) and _hostdev({key: value}):  # of a <hostdev>, by libvirt's name for it
            yield f"{name}.{key}={value}", {key: value}
    yield from devices


def _sets(options: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    for option, value in options:
        place, is_set, wanted = value.partition("=")
        parts = place.split(".")
        if option == "set" and is_set and len(parts) == 3 and parts[0] == "device":  # noqa: PLR2004 -- device.ID.KEY
            yield parts[1], parts[2], wanted


def _hostdev(properties: Properties) -> Hostdev | None:
    """The device that `host` or `sysfsdev` names; QEMU takes the path where both are there."""
    path = properties.get(PATH)
    name = str(path).rstrip("/").rpartition("/")[2] if path else str(properties.get(HOST) or "")
    if path and UUID.fullmatch(name.lower()):
        return Hostdev("mdev", None, mdev_uuid=name.lower(), in_arguments=True)
    address = _address(name)
    return Hostdev("pci", address, in_arguments=True) if address else None


def _address(text: str) -> str | None:
    """`text` as DDDD:BB:DD.F; without a domain it is in 0000."""
    match = ADDRESS.fullmatch(text.strip().lower())
    return f"{match[1] or '':0>4}:{match[2]:0>2}:{match[3]:0>2}.{match[4]}" if match else None


def _drives(options: Iterable[tuple[str, str]]) -> Iterator[Hostdev]:
    """NVMe drives that QEMU drives itself: nvme://ADDRESS/NAMESPACE, or driver=nvme,device=ADDRESS."""
    for option, value in options:
        if option in ("drive", "blockdev"):
            named = (*NVME.findall(value), *_nvme(_properties(value)))
            yield from (Hostdev("pci", found, in_arguments=True) for text in named if (found := _address(text)))


def _nvme(properties: Properties) -> Iterator[str]:
    """The `device` beside each `driver` that is nvme, also nested, or dotted as in file.driver."""
    for key, value in properties.items():
        if isinstance(value, dict):
            yield from _nvme(value)
        elif value == "nvme" and key.endswith("driver"):
            yield str(properties.get(f"{key.removesuffix('driver')}device") or "")


def _overridden(root: Element) -> Iterator[Hostdev]:
    """A device's `host` or `sysfsdev` that <qemu:override> puts in the place of libvirt's."""
    prefix = _prefix(root)
    override = root.find(f"{prefix}:override")
    for device in override.all(f"{prefix}:device") if override else ():
        frontend = device.find(f"{prefix}:frontend")
        for item in frontend.all(f"{prefix}:property") if frontend else ():
            name = item.get("name") or ""
            if name in (HOST, PATH) and (found := _hostdev({name: item.get("value")})):
                yield found
