"""The XML of what a guest gets of its host: whole functions, input devices, shared memory (formatdomain). Pure."""

from __future__ import annotations

from xml.etree import ElementTree as ET


def hostdev_element(address: str) -> ET.Element:
    """The <hostdev> that gives a guest the PCI function at `address` (DDDD:BB:DD.F).

    managed='no': the hook takes it from the host before libvirt looks, and nobody else gives it back.
    """
    domain, bus, rest = address.split(":")
    slot, _, function = rest.partition(".")
    numbers = {"domain": domain, "bus": bus, "slot": slot, "function": function}
    hostdev = ET.Element("hostdev", mode="subsystem", type="pci", managed="no")
    source = ET.SubElement(hostdev, "source")
    ET.SubElement(source, "address", {part: f"0x{number}" for part, number in numbers.items()})
    return hostdev


def rom_element(path: str) -> ET.Element:
    """The <rom> of a hostdev whose option ROM is read from a file instead of from the card."""
    return ET.Element("rom", file=path)


def evdev_element(path: str, *, keyboard: bool) -> ET.Element:
    """The <input> that takes the host's input device at `path`: both Ctrl keys together hand it over, and back.

    grab='all' of a keyboard moves the other evdev devices along with it.
    """
    device = ET.Element("input", type="evdev")
    source = ET.SubElement(device, "source", dev=path)
    if keyboard:
        source.set("grab", "all")
        source.set("repeat", "on")
    return device


def shared_memory_element(name: str, mebibytes: int) -> ET.Element:
    """The <shmem> /dev/shm/`name`, which a program of the host reads and one of the guest writes."""
    memory = ET.Element("shmem", name=name)
    ET.SubElement(memory, "model", type="ivshmem-plain")
    ET.SubElement(memory, "size", unit="M").text = str(mebibytes)
    return memory


def no_video_element() -> ET.Element:
    """The <video> of a guest without an emulated graphics card; libvirt would add one where there is none."""
    video = ET.Element("video")
    ET.SubElement(video, "model", type="none")
    return video


def as_text(element: ET.Element) -> str:
    """The element as lines, indented."""
    ET.indent(element)
    return ET.tostring(element, encoding="unicode")
