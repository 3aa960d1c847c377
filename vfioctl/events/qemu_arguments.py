"""Devices of the host that a domain hands to QEMU in QEMU's own arguments, which libvirt passes on unread.

<qemu:commandline> and <qemu:override> (libvirt.org/drvqemu.html); `-device`, `-object`, `-set`, `-drive`, `-blockdev`
and names of files as in QEMU's manual (qemu.org/docs/master/system/invocation.html). Both forms of a value are read:
"vfio-pci,host=01:00.0", where a comma inside is doubled, and JSON.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from itertools import pairwise

from vfioctl.checking import TYPE_CHECKING
from vfioctl.events.address import read_address
from vfioctl.events.element import Element, short
from vfioctl.events.model import Hostdev
from vfioctl.events.qemu_json import read_object
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from typing import Any, TypeAlias

NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
DRIVERS = ("vfio-pci", "vfio-pci-nohotplug")
HOST, PATH = "host", "sysfsdev"
OPTION = re.compile(r"--?(device|object|set|drive|blockdev|readconfig)(?:[ =]\s*(.+))?", re.DOTALL)
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BLOCK = {"nvme": "device", "virtio-blk-vfio-pci": "path"}  # QEMU's own drivers through VFIO, and what names the device
URL, JSON = "nvme://", "json:"  # before a drive's address, and before its properties, in the place of a file's name

Properties: TypeAlias = "dict[str, Any]"
Taking: TypeAlias = "tuple[str, Hostdev | None]"
"""An argument that takes a device, with the device; None where it does not say which one."""


@frozen
class Passed:
    """What QEMU's arguments take from the host; `unseen` are arguments that take something which they do not name."""

    hostdevs: tuple[Hostdev, ...] = ()
    unseen: tuple[str, ...] = ()


def read_arguments(root: Element) -> Passed:
    """What the arguments in the domain `root` take."""
    words = arguments(root)
    options = tuple(_options(words))
    taking = (*_files_of_options(options), *_devices(options), *_drives(words, options), *_overridden(root))
    return Passed(
        hostdevs=tuple(dict.fromkeys(hostdev for _, hostdev in taking if hostdev)),
        unseen=tuple(dict.fromkeys(argument for argument, hostdev in taking if hostdev is None)),
    )


def roms(root: Element) -> tuple[str, ...]:
    """The ROM files of devices in the arguments of `root`; not those that QEMU hands to the firmware itself."""
    found = (_properties(value) for option, value in _options(arguments(root)) if option == "device")
    named = (device for device in found if str(device.get("rombar", "1")) not in ("0", "off"))
    return tuple(str(device["romfile"]) for device in named if device.get("romfile"))


def objects(root: Element, kind: str) -> tuple[Properties, ...]:
    """The properties of each object of the type `kind` in the arguments of `root`."""
    found = (_properties(value) for option, value in _options(arguments(root)) if option == "object")
    return tuple(one for one in found if kind in (one.get("qom-type"), one.get("driver")))


def drives(root: Element) -> tuple[str, ...]:
    """The files of drives in the arguments of `root`; an address, as "nbd://…", may be among them."""
    found = (_properties(value) for option, value in _options(arguments(root)) if option == "drive")
    return tuple(str(drive["file"]) for drive in found if drive.get("file"))


def arguments(root: Element) -> tuple[str, ...]:
    """The words that the domain `root` adds to QEMU's command line, in order."""
    prefixes = _prefixes(root)
    lines = _named(root, "commandline", prefixes)
    return tuple(word.get("value") or "" for line in lines for word in _named(line, "arg", prefixes))


def _prefixes(root: Element) -> Container[str]:
    """Those of libvirt's QEMU namespace: libvirt writes "qemu", an XML of somebody else may have another, or none."""
    declared = (item for element in (root, *root.children) for item in element.attributes.items())
    named = (name.partition(":") for name, value in declared if value == NAMESPACE)
    return {"qemu", *(prefix for word, _, prefix in named if word == "xmlns")}


def _named(parent: Element, name: str, prefixes: Container[str]) -> Iterator[Element]:
    """The children of `parent` called `name` behind one of `prefixes`."""
    for child in parent.children:
        prefix, _, local = child.name.rpartition(":")
        if local == name and prefix in prefixes:
            yield child


def _options(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(option, its value), the value being the next word or behind a blank in the same one."""
    for word, following in pairwise((*words, "")):
        if match := OPTION.fullmatch(word.strip()):
            yield match[1], (match[2] or following).strip()


def _files_of_options(options: Iterable[tuple[str, str]]) -> Iterator[Taking]:
    return ((f"-{option} {short(value)}", None) for option, value in options if option == "readconfig")


def _properties(text: str) -> Properties:
    """The properties in an option's value, none in JSON that is none; the first word without a name is the driver."""
    if text.startswith("{"):
        return read_object(text)
    found: Properties = {}
    for part in text.replace(",,", "\0").split(","):
        key, is_set, value = part.replace("\0", ",").partition("=")
        found.update({key: value} if is_set else {} if found else {"driver": key})
    return found


def _devices(options: Iterable[tuple[str, str]]) -> Iterator[Taking]:
    """Each device of VFIO, with what `-set device.ID.KEY=VALUE` changes of its properties."""
    every = [(value, _properties(value)) for option, value in options if option == "device"]
    devices = [(text, found) for text, found in every if not found or found.get("driver") in DRIVERS]
    known = {str(properties["id"]): properties for _, properties in devices if properties.get("id")}
    for name, key, value in _sets(options):
        if name in known:
            known[name][key] = value
        elif key in (HOST, PATH) and (hostdev := _hostdev({key: value})):  # of a <hostdev>, by libvirt's name for it
            yield name, hostdev
    yield from ((f"-device {short(text)}", _hostdev(properties)) for text, properties in devices)


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
    address = read_address(name)
    return Hostdev("pci", address, in_arguments=True) if address else None


def _drives(words: Iterable[str], options: Iterable[tuple[str, str]]) -> Iterator[Taking]:
    """The drives that QEMU drives itself: in -drive and -blockdev, or as a file behind -hda, -cdrom … or nothing."""
    for word in words:
        yield from ((short(word), _hostdev({HOST: name})) for name in _in_file_name(word))
    for option, value in options:
        if option in ("drive", "blockdev", "set"):
            properties = _properties(value)
            found = _in_properties(properties) if properties else ("",)
            yield from ((f"-{option} {short(value)}", _hostdev({HOST: name})) for name in found)


def _in_file_name(text: str) -> Iterator[str]:
    """The device in nvme://DEVICE/NAMESPACE, or in json:PROPERTIES."""
    if text.startswith(URL):
        yield text.removeprefix(URL).partition("/")[0]
    elif text.startswith(JSON):
        properties = read_object(text.removeprefix(JSON))
        yield from _in_properties(properties) if properties else ("",)


def _in_properties(properties: Properties) -> Iterator[str]:
    """What names the device beside each driver of BLOCK, also nested, dotted as in file.driver, or in a file's name."""
    waiting: list[Any] = [properties]
    while waiting:
        here = waiting.pop()
        for key, value in here.items() if isinstance(here, dict) else enumerate(here):
            if isinstance(value, dict | list):
                waiting.append(value)
            elif isinstance(value, str):
                yield from _in_property(str(key), value, here)


def _in_property(key: str, value: str, beside: Properties) -> Iterator[str]:
    place, dot, name = key.rpartition(".")
    if value in BLOCK and name in ("driver", "format"):  # -drive takes both words
        yield str(beside.get(f"{place}{dot}{BLOCK[value]}") or "").rstrip("/").rpartition("/")[2]
    else:
        yield from _in_file_name(value)


def _overridden(root: Element) -> Iterator[Taking]:
    """A device's `host` or `sysfsdev` that <qemu:override> puts in the place of libvirt's."""
    prefixes = _prefixes(root)
    found = [root]
    for name in ("override", "device", "frontend", "property"):
        found = [child for parent in found for child in _named(parent, name, prefixes)]
    for item in found:
        name = item.get("name") or ""
        if name in (HOST, PATH) and (hostdev := _hostdev({name: item.get("value")})):
            yield name, hostdev
