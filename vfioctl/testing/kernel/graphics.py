"""DRM cards, framebuffers and vtconsoles: what appears and disappears with a display driver.

Seen on Linux 6.1: the "frame buffer device" vtconsole goes with the last framebuffer and comes back, already bound,
with the next one; a native display driver, and vfio-pci on a class 0x0300 function, remove the firmware's
framebuffer device for good (aperture helpers).
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vfioctl.testing.kernel.devices import DeviceNode
from vfioctl.testing.kernel.nodes import Attribute, Constant, Directory, Link

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel
    from vfioctl.testing.kernel.pci import Device

DRM_MAJOR = 226
FB_MAJOR = 29
FIRST_RENDER = 128
FBCON = "(M) frame buffer device"
DUMMY = "(S) dummy device"
DUMMY_AFTER_VGA = "(M) dummy device"


@dataclass(slots=True)
class Framebuffer:
    index: int
    owner: str  # address of the function, or the platform device
    platform: str | None = None


class Graphics:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.drm = kernel.sys.directory("class/drm")
        self.graphics = kernel.sys.directory("class/graphics")
        self.consoles = kernel.sys.directory("class/vtconsole")
        self.platform = kernel.sys.directory("bus/platform/devices")
        self.framebuffers: list[Framebuffer] = []
        self.bound = True
        self.drm.add("version", Constant("drm 1.1.0 20060810"))
        self._add_console("vtcon0", DUMMY if kernel.spec.system_console else DUMMY_AFTER_VGA)

    # DRM

    def add_card(self, device: Device, module: str, *, framebuffer: bool) -> None:
        """Give `device` a card, a render node and its connectors, as a DRM driver's probe does."""
        held = self.kernel.processes.held_numbers()
        index = next(
            index for index in itertools.count()
            if f"card{index}" not in self.drm.children and os.makedev(DRM_MAJOR, index) not in held
        )  # fmt: skip
        drm = device.directory.directory("drm")
        for name, minor in ((f"card{index}", index), (f"renderD{FIRST_RENDER + index}", FIRST_RENDER + index)):
            card = drm.directory(name)
            card.add("dev", Constant(f"{DRM_MAJOR}:{minor}"))
            card.add("uevent", Constant(f"MAJOR={DRM_MAJOR}\nMINOR={minor}\nDEVNAME=dri/{name}\nDEVTYPE=drm_minor"))
            card.add("device", Link(f"../../../{device.address}"))
            card.add("subsystem", Link("../" * device.depth + "../../../class/drm"))
            self.drm.add(name, Link(f"../../{device.sysfs}/drm/{name}"))
            number = os.makedev(DRM_MAJOR, minor)
            node = DeviceNode(f"/dev/dri/{name}", number, module, device.address)
            self.kernel.nodes.add(node, f"{device.sysfs}/drm/{name}")
        self._add_connectors(device, drm.directory(f"card{index}"), f"card{index}")
        if framebuffer:
            self.add_framebuffer(device.address)
            self._show_framebuffer(device)

    def _add_connectors(self, device: Device, card: Directory, name: str) -> None:
        for connector in device.spec.connectors:
            port, _, status = connector.partition(":")
            directory = card.directory(f"{name}-{port}")
            directory.add("status", Attribute(lambda status=status: f"{status}\n", lambda _text: None))  # type: ignore[misc]
            directory.add("enabled", Constant("enabled" if status == "connected" else "disabled"))
            directory.add("device", Link(f"../../{name}"))
            target = f"../../{device.sysfs}/drm/{name}/{name}-{port}"
            self.drm.add(f"{name}-{port}", Link(target))

    def remove_card(self, device: Device) -> None:
        """Take the cards of `device` away; open nodes stay open and say "(deleted)"."""
        drm = device.directory.lookup("drm")
        for name in tuple(drm.children) if isinstance(drm, Directory) else ():
            for entry in tuple(self.drm.children):
                if entry == name or entry.startswith(f"{name}-"):
                    self.drm.drop(entry)
            self.kernel.nodes.remove(f"/dev/dri/{name}")
        device.directory.drop("drm")
        device.directory.drop("graphics")
        self.remove_framebuffers(device.address)

    def has_card(self, device: Device) -> bool:
        return device.directory.lookup("drm") is not None

    # Framebuffers

    def add_platform(self, name: str, device: Device) -> None:
        """The firmware's picture: a platform device below the card, bound to the driver of the same name."""
        directory = Directory()
        device.directory.add(name, directory)
        driver = name.rpartition(".")[0]
        drivers = self.kernel.sys.directory(f"bus/platform/drivers/{driver}")
        directory.add("driver", Link("../" * (device.depth + 3) + f"bus/platform/drivers/{driver}"))
        drivers.add(name, Link(f"../../../../{device.sysfs}/{name}"))
        drivers.add("unbind", Attribute(None, self._unbind_platform))
        self.platform.add(name, Link(f"../../../{device.sysfs}/{name}"))
        self.add_framebuffer(name, platform=name)

    def _unbind_platform(self, text: str) -> None:
        name = text.strip()
        driver = self.kernel.sys.directory(f"bus/platform/drivers/{name.rpartition('.')[0]}")
        if name not in driver.children:
            raise OSError(19, "not bound to this driver")
        driver.drop(name)
        for device in self.kernel.pci.devices.values():
            if isinstance(platform := device.directory.lookup(name), Directory):
                platform.drop("driver")
        self.remove_framebuffers(name)

    def remove_aperture(self, device: Device) -> None:
        """Remove the firmware's framebuffer device on `device`: unregistered, so there is nothing to rebind."""
        name = device.spec.framebuffer
        if name and name in device.directory.children:
            device.directory.drop(name)
            self.platform.drop(name)
            self.kernel.sys.directory(f"bus/platform/drivers/{name.rpartition('.')[0]}").drop(name)
            self.remove_framebuffers(name)

    def add_framebuffer(self, owner: str, *, platform: str | None = None) -> None:
        taken = {fb.index for fb in self.framebuffers}
        index = next(index for index in itertools.count() if index not in taken)
        self.framebuffers.append(Framebuffer(index, owner, platform))
        directory = self.graphics.directory(f"fb{index}")
        directory.add("dev", Constant(f"{FB_MAJOR}:{index}"))
        directory.add("name", Constant(owner))
        if device := self.kernel.pci.devices.get(owner) if not platform else None:
            directory.add("device", Link(f"../../../{device.sysfs}"))
        else:
            directory.add("device", Link(f"../../../bus/platform/devices/{owner}"))
        address = None if platform else owner
        self.kernel.nodes.add(DeviceNode(f"/dev/fb{index}", os.makedev(FB_MAJOR, index), None, address))
        if len(self.framebuffers) == 1 and self.kernel.spec.framebuffer_console:
            self.bound = True
            self._add_console("vtcon1", FBCON)

    def _show_framebuffer(self, device: Device) -> None:
        index = self.framebuffers[-1].index
        place = device.directory.directory("graphics").directory(f"fb{index}")
        place.add("dev", Constant(f"{FB_MAJOR}:{index}"))

    def remove_framebuffers(self, owner: str) -> None:
        """Unregister the framebuffers of `owner`; with the last one the console driver goes."""
        for framebuffer in [fb for fb in self.framebuffers if fb.owner == owner]:
            self.framebuffers.remove(framebuffer)
            self.graphics.drop(f"fb{framebuffer.index}")
            self.kernel.nodes.remove(f"/dev/fb{framebuffer.index}")
        if not self.framebuffers:
            self.consoles.drop("vtcon1")

    # Consoles

    def _add_console(self, entry: str, name: str) -> None:
        directory = self.consoles.directory(entry)
        directory.add("name", Constant(name))
        is_fbcon = name == FBCON
        directory.add("bind", Attribute(
            lambda: f"{int(self._fbcon_bound() == is_fbcon)}\n", lambda text: self._bind(text, is_fbcon=is_fbcon)))

    def _fbcon_bound(self) -> bool:
        return self.bound and "vtcon1" in self.consoles.children

    def _bind(self, text: str, *, is_fbcon: bool) -> None:
        """Only one back-end is bound: unbinding one gives the screen to the other.

        Seen on 6.1: a back-end takes the screen only from one of the system's; without one the write does nothing.
        """
        wanted = text.strip() not in ("", "0")
        if wanted and not self.kernel.spec.system_console:
            return
        self.bound = wanted == is_fbcon
