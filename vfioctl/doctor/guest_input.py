"""Whether somebody can type into a guest whose picture is on its card. Reads only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from vfioctl.doctor.definitions import Definition, Definitions
from vfioctl.events.qemu_arguments import arguments
from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.shell import argument

USB_CONTROLLER = 0x0C03
VIEWED = ("spice", "vnc", "rdp", "sdl", "egl-headless", "dbus")  # where a viewer brings keyboard and mouse
NUMBERED = re.compile(r"/dev/input/event\d+")
IN_ARGUMENTS = ("usb-host", "input-linux", "virtio-input-host")


def look(guest: Definition, _every: Definitions, host: Host) -> Iterator[Finding]:
    """No keyboard and no mouse at all, and evdev devices that are not there or change their number."""
    if guest.has_card and not _has_input(guest):
        yield Finding(
            "domain.no_input", f"{guest.name} gets a card and neither keyboard nor mouse: nobody can type into it.",
            Severity.WARN,
            f"Add a USB device, a USB controller or <input type='evdev'>: virsh edit {argument(guest.name)}",
            evidence=f"{guest.path}: no USB hostdev, no USB controller, no evdev, no display to view",
        )  # fmt: skip
    for path in guest.domain.evdev_inputs:
        yield from _evdev(guest, host, path)


def _has_input(guest: Definition) -> bool:
    passed = any(dev.kind == "usb" for dev in guest.domain.hostdevs)
    controller = any(device.kind == USB_CONTROLLER for device in guest.devices)
    viewed = any(graphics.get("type") in VIEWED for graphics in guest.all("graphics"))
    passthrough = any(one.get("type") in ("passthrough", "evdev") for one in guest.all("input"))
    in_arguments = any(name in word for word in arguments(guest.root) for name in IN_ARGUMENTS)
    redirected = any(True for _ in guest.all("redirdev"))
    return any((passed, controller, viewed, passthrough, in_arguments, redirected))


def _evdev(guest: Definition, host: Host, path: str) -> Iterator[Finding]:
    if not os.path.exists(host.paths.at(path)):
        yield Finding(
            "start.evdev_missing", f"{path}, an input device of {guest.name}, is not there: it cannot start without.",
            Severity.WARN, f"Plug it in, or take it out: virsh edit {argument(guest.name)}",
            evidence=f"{path} is not there",
        )  # fmt: skip
    elif NUMBERED.fullmatch(path):
        yield Finding(
            "domain.evdev_number", f"{guest.name} takes {path}, whose number is another one after the next boot.",
            Severity.WARN, f"Name it by its link in /dev/input/by-id: virsh edit {argument(guest.name)}",
            evidence=guest.path,
        )  # fmt: skip
