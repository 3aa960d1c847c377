"""What a beginner stumbles over with a card in a guest, as sentences of `enable`. Reads the domain as it is to be."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.actions.equip.devices import MEMORY, hides
from vfioctl.events.domain import read_domain
from vfioctl.findings import Finding, Severity
from vfioctl.host.model import USB_CONTROLLER
from vfioctl.virt.disks import guest_firmware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.actions.equip.choosing import Chosen
    from vfioctl.host.host import Host

NVIDIA = 0x10DE
SINCE = "465 (2021)"  # the first driver of NVIDIA for GeForce cards in a guest that knows of KVM (its release notes)


def advice(xml: bytes, chosen: Chosen, host: Host) -> Iterator[Finding]:
    """What is to be said of a guest with a card; nothing of one without."""
    if chosen.card is None:
        return
    root = ET.fromstring(xml)
    yield from _firmware(root, xml.decode(), has_rom=bool(chosen.outfit.roms))
    yield from _hiding(xml, chosen.card.vendor, asked=chosen.outfit.hidden)
    screen = root.find("devices/graphics") is not None
    if not screen and not _has_keyboard(root, xml, host):
        said = "The guest will have neither keyboard nor mouse: it has no emulated screen, and nothing of this host."
        hint = "Give it some: --evdev /dev/input/by-id/… or --usb ADDRESS"
        yield Finding("guest.no_input", said, Severity.WARN, hint=hint)
    if chosen.outfit.memory:
        yield from _looking_glass(chosen.outfit.memory, screen=screen)
    elif screen and chosen.outfit.hostdevs:
        said = "The guest keeps its emulated screen, and may show its desktop there and not on the card's."
        hint = "Once it runs well, take that away: --display none"
        yield Finding("guest.two_screens", said, Severity.INFO, hint=hint)


def _firmware(root: ET.Element, xml: str, *, has_rom: bool) -> Iterator[Finding]:
    if not guest_firmware(xml).uefi:
        said = "The guest boots with a BIOS; nearly every card of today wants UEFI firmware (OVMF) there."
        hint = "An installed system seldom survives the change: make the guest anew, with UEFI."
        yield Finding("guest.bios", said, Severity.WARN, hint=hint)
    elif has_rom and _is_secure(root):
        said = "With Secure Boot the guest's firmware runs a card's ROM only as its maker has signed it."
        yield Finding("rom.secure_boot", said, Severity.INFO, hint="Where the file was changed, turn Secure Boot off.")


def _is_secure(root: ET.Element) -> bool:
    loader = root.find("os/loader")
    features = root.iterfind("os/firmware/feature[@name='secure-boot']")
    return (loader is not None and loader.get("secure") == "yes") or any(
        one.get("enabled") == "yes" for one in features
    )


def _hiding(xml: bytes, vendor: int, *, asked: bool) -> Iterator[Finding]:
    """NVIDIA's drivers refused to run in a guest until then; hiding costs Windows what Hyper-V's interfaces give."""
    if vendor != NVIDIA and hides(xml):
        said = "The guest is not told that it runs on KVM; only drivers of NVIDIA ever wanted that."
    elif asked:
        said = f"Only a driver of NVIDIA older than {SINCE} needs a guest that does not know of KVM."
    elif hides(xml):
        said = f"The guest is not told that it runs on KVM; drivers of NVIDIA since {SINCE} do not need that."
    else:
        return
    hint = "Leave <hidden> away, or take it out with `virsh edit`, where the driver is newer."
    yield Finding("guest.hidden", said, Severity.INFO, hint=hint)


def _has_keyboard(root: ET.Element, xml: bytes, host: Host) -> bool:
    if any(one.get("type") in ("evdev", "passthrough") for one in root.iterfind("devices/input")):
        return True
    if any(one.get("type") == "usb" for one in root.iterfind("devices/hostdev")):
        return True
    functions = read_domain(xml).pci_addresses
    return any(host.has_device(one) and host.kind(one) == USB_CONTROLLER for one in functions)


def _looking_glass(size: int, *, screen: bool) -> Iterator[Finding]:
    said = f"Looking Glass shares {size} MiB in /dev/shm/{MEMORY}, which its client must be allowed to read."
    line = f"f /dev/shm/{MEMORY} 0660 USER kvm -"
    hint = f"Write `{line}` with your name into /etc/tmpfiles.d/looking-glass.conf, then: systemd-tmpfiles --create"
    yield Finding("looking_glass.access", said, Severity.INFO, hint=hint)
    if not screen:
        said = "Looking Glass sends keyboard and mouse through SPICE, and the guest has no emulated screen."
        yield Finding("looking_glass.no_spice", said, Severity.WARN, hint="Keep it: --display keep")
