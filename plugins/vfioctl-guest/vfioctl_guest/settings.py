"""CPUs, memory and boot order of a guest: how its configuration says them, and what a running one takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from vfioctl.plugin import Refused, no_such
from vfioctl_guest import hotplug
from vfioctl_guest.names import NOTHING_CHANGED

KIB = 1 << 10
UNITS = {"b": 0, "bytes": 0, "KiB": 10, "k": 10, "MiB": 20, "M": 20, "GiB": 30, "G": 30, "TiB": 40, "T": 40}


def with_cpus(xml: str, cpus: int) -> str:
    """The configuration with so many CPUs. A topology that does not fit is left to libvirt."""
    root = ET.fromstring(xml)
    element = root.find("vcpu")
    if element is None:
        element = ET.SubElement(root, "vcpu")
    most = int(element.text or 1)
    element.attrib.pop("current", None)
    if cpus < most:
        element.set("current", str(cpus))
    else:
        element.text = str(cpus)
    _drop(root, "vcpus")
    if cpus > most and (model := root.find("cpu")) is not None:
        _drop(model, "topology")
    return ET.tostring(root, encoding="unicode")


def with_memory(xml: str, size: int) -> str:
    """The configuration with `size` bytes of memory from its next start on. Raises Refused("guest.numa")."""
    root = ET.fromstring(xml)
    if root.find("cpu/numa") is not None or root.find("maxMemory") is not None:
        said = "The memory of this guest is laid out by hand, in NUMA cells or slots."
        raise Refused("guest.numa", said, state=NOTHING_CHANGED, hints=("Change it with: virsh edit",))
    for name in ("memory", "currentMemory"):
        element = root.find(name)
        if element is None:
            element = ET.SubElement(root, name)
        element.set("unit", "KiB")
        element.text = str(size // KIB)
    return ET.tostring(root, encoding="unicode")


def with_boot(guest: str, xml: str, words: Iterable[str]) -> str:
    """The configuration that boots from the devices of `words`, in that order.

    Raises Refused("device.unknown", "guest.boot_order").
    """
    root = ET.fromstring(xml)
    system, devices = root.find("os"), [*root.iterfind("devices/disk"), *root.iterfind("devices/interface")]
    if system is not None:
        _drop(system, "boot")
    for device in root.iterfind("devices/*"):
        _drop(device, "boot")
    words = tuple(words)
    if twice := next((word for word in words if words.count(word) > 1), ""):
        said = f"{twice} is named twice: a device has one place in the boot order."
        raise Refused("guest.boot_order", said, state=NOTHING_CHANGED, hints=("Name each device once.",))
    for order, word in enumerate(words, 1):
        found = [one for one in devices if hotplug.names(one)[:1] == [word]]
        if not found:
            every = [hotplug.names(one)[0] for one in devices if hotplug.names(one)]
            said = f"Guest {guest} has no disk or network card {word!r}"
            raise no_such("device.unknown", said, word, every, "It has")
        ET.SubElement(found[0], "boot", order=str(order))
    return ET.tostring(root, encoding="unicode")


def system_disk(xml: str) -> str:
    """The target of the disk that it boots from; "" for none, as where it boots from a network alone.

    Where no device has an order, libvirt's <boot dev='hd'/> means the first disk (formatdomain, "BIOS bootloader").
    """
    root = ET.fromstring(xml)
    disks = [one for one in root.iterfind("devices/disk") if one.get("device", "disk") == "disk"]
    ordered = {int(boot.get("order", 0)): one for one in disks if (boot := one.find("boot")) is not None}
    if ordered or root.find("devices/*/boot") is not None:
        disks = [ordered[min(ordered)]] if ordered else []
    return next((hotplug.names(one)[0] for one in disks), "")


def cpus_of(xml: str) -> tuple[int, int]:
    """The CPUs that it has, and the most that it can get while it runs."""
    element = ET.fromstring(xml).find("vcpu")
    if element is None:
        return 1, 1
    most = int(element.text or 1)
    return int(element.get("current", most)), most


def fixed_cpus_of(xml: str) -> int:
    """How many of its CPUs a running guest never lets go of: QEMU made them as it was started (formatdomain, vcpus)."""
    root = ET.fromstring(xml)
    each = [one for one in root.iterfind("vcpus/vcpu") if one.get("enabled") == "yes"]
    return len([one for one in each if one.get("hotpluggable") != "yes"]) if each else cpus_of(xml)[0]


def has_balloon(xml: str) -> bool:
    """Whether its memory changes while it runs; without a word about it libvirt gives it a balloon."""
    balloon = ET.fromstring(xml).find("devices/memballoon")
    return balloon is None or balloon.get("model") != "none"


def machine_of(xml: str) -> tuple[str, str]:
    """The architecture and the machine that it has."""
    element = ET.fromstring(xml).find("os/type")
    return ("", "") if element is None else (element.get("arch", ""), element.get("machine", ""))


def memory_of(xml: str) -> tuple[int, int]:
    """The memory that it has, and the most that it can get while it runs, in KiB."""
    root = ET.fromstring(xml)
    most = _kib(root.find("memory"))
    current = root.find("currentMemory")
    return (most if current is None else _kib(current)), most


def _kib(element: ET.Element | None) -> int:
    if element is None:
        return 0
    return (int(element.text or 0) << UNITS.get(element.get("unit", "KiB"), 10)) >> 10


def _drop(parent: ET.Element, name: str) -> None:
    for child in parent.findall(name):
        parent.remove(child)
