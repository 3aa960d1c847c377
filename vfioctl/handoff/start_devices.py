"""The USB and mediated devices and the CPU model that a start needs. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.events.model import UsbDevice
from vfioctl.handoff.start_model import Start
from vfioctl.host import behind, cpu_models, mediated, usb
from vfioctl.plugin.types import Finding


def look(start: Start) -> Iterator[Finding]:
    """What is not there or not known."""
    yield from _usb(start)
    yield from _mediated(start)
    yield from _cpu_model(start)


def _usb(start: Start) -> Iterator[Finding]:
    present = usb.devices(start.paths) if start.needs.usb else ()
    for wanted in start.needs.usb:
        known = [(entry, behind.of_device(entry.path, start.taken)) for entry in present if _fits(wanted, entry)]
        alike = [entry for entry, address in known if not address]
        if wanted.optional and not alike:
            continue
        if known and not alike:
            yield start.given_twice(f"The USB device {_named(wanted)} of the guest", known[0][1])
        elif not alike:
            yield Finding(
                "start.usb_missing", f"The USB device {_named(wanted)} of the guest is not plugged in.",
                hint=start.edit("See which there are with lsusb and plug it in, or set startupPolicy='optional'"),
            )  # fmt: skip
        elif len(alike) > 1 and wanted.bus is None:
            yield Finding(
                "start.usb_ambiguous",
                f"{len(alike)} USB devices are {_named(wanted)}, and libvirt does not choose between them.",
                hint=start.edit("Give the one that is meant an <address bus=… device=…/>"),
            )


def _fits(wanted: UsbDevice, entry: usb.UsbEntry) -> bool:
    pairs = (
        (wanted.vendor, entry.vendor), (wanted.product, entry.product), (wanted.bus, entry.bus),
        (wanted.device, entry.device),
    )  # fmt: skip
    return all(wish in (None, is_so) for wish, is_so in pairs)


def _named(wanted: UsbDevice) -> str:
    """"1234:beef at bus 1 device 7", as far as it is said."""
    identity = f"{wanted.vendor or 0:04x}:{wanted.product or 0:04x}" if wanted.vendor is not None else ""
    place = f"at bus {wanted.bus} device {wanted.device}" if wanted.bus is not None else ""
    return " ".join(part for part in (identity, place) if part)


def _mediated(start: Start) -> Iterator[Finding]:
    for uuid in dict.fromkeys(dev.mdev_uuid for dev in start.request.domain.hostdevs if dev.mdev_uuid):
        if not mediated.is_there(start.paths, uuid):
            yield Finding(
                "start.mediated_missing", f"The mediated device {uuid} of the guest is not there.",
                hint=start.edit(f"Make it with mdevctl start --uuid {uuid}, or take it from the guest"),
            )  # fmt: skip


def _cpu_model(start: Start) -> Iterator[Finding]:
    model, emulator = start.needs.cpu_model, start.request.domain.emulator
    if model and emulator and cpu_models.is_unknown(start.paths, emulator, model):
        yield Finding(
            "start.cpu_model", f"libvirt does not know the CPU model {model}, which the guest is to have.",
            hint=start.edit("See which there are with virsh domcapabilities, and name one of them"),
        )  # fmt: skip
