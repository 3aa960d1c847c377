"""PCI functions and drivers: binding, unbinding and probing as Linux 6.1 was seen to do it.

The `driver` link vanishes before the driver's remove() runs; a remove() that waits keeps the device lock, and with it
everyone who reads driver_override or uevent, or writes to the function: those writes land later, wanted or not.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from vfioctl.testing.kernel import attributes, dependents, drivers
from vfioctl.testing.kernel.nodes import Attribute, Directory, Link, Wait
from vfioctl.testing.model import FakeDevice, FakeDriver, FakeModule

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel


class Driver:
    def __init__(self, spec: FakeDriver, module: str, directory: Directory) -> None:
        self.name = spec.name
        self.kind = spec.kind
        self.module = module
        self.directory = directory


class Device:
    """A function while it is on the bus. `locked`: a remove() waits in the kernel under the device lock."""

    def __init__(self, spec: FakeDevice, directory: Directory) -> None:
        self.spec = spec
        self.address = spec.address
        self.directory = directory
        self.driver: Driver | None = None
        self.override: str | None = None
        self.locked = False
        self.settings = attributes.initial(spec)

    @property
    def sysfs(self) -> str:
        """Its directory below /sys."""
        return self.directory.path.removeprefix("/sys/")

    @property
    def is_offered(self) -> bool:
        """Whether its driver offers it through VFIO now."""
        return "vfio-dev" in self.directory.children

    @property
    def depth(self) -> int:
        """How many levels below /sys/devices."""
        return self.sysfs.count("/")


class Pci:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.devices: dict[str, Device] = {}
        self.drivers: dict[str, Driver] = {}
        self.removed: dict[str, FakeDevice] = {}
        bus = kernel.sys.directory("bus/pci")
        self.links = bus.directory("devices")
        self.driver_directory = bus.directory("drivers")
        bus.add("drivers_probe", Attribute(None, self._store_probe))
        bus.add("rescan", Attribute(None, lambda _text: self.rescan(), mode=0o200))

    # The bus

    def populate(self) -> None:
        for spec in sorted(self.kernel.spec.devices, key=lambda spec: spec.bridge is not None):
            self._add(spec)
        dependents.link_virtual(self)

    def bind_initial(self) -> None:
        """Bind what is bound at the start; the firmware's framebuffers come first, as at boot."""
        for device in self.devices.values():
            if device.spec.framebuffer and not drivers.is_native(self, device):
                self.kernel.graphics.add_platform(device.spec.framebuffer, device)
        for spec in self.kernel.spec.devices:  # in the order of the spec: it gives cards their numbers
            if spec.driver:
                self._bind(self.devices[spec.address], self.drivers[spec.driver])
                dependents.make_mediated(self, self.devices[spec.address])

    def _add(self, spec: FakeDevice) -> Device:
        root = self.kernel.sys.directory(f"devices/pci{spec.address[:7]}")
        bridge = self.devices.get(spec.bridge or "")
        parent = bridge.directory if bridge else root
        directory = parent.directory(spec.address)  # files of it that the machine's settings list are there already
        device = self.devices[spec.address] = Device(spec, directory)
        self.links.add(spec.address, Link(f"../../../{device.sysfs}"))
        attributes.fill(self, device)
        return device

    def disappear(self, address: str) -> None:
        """The function falls off the bus: no remove() waits, its directory and its nodes go."""
        device = self.devices.pop(address)
        if device.driver:
            self._unlink(device)
            drivers.detach(self, device, device.driver)
            device.driver = None
        device.locked = False
        self.links.drop(address)
        if device.directory.parent:
            device.directory.parent.drop(address)
        attributes.leave_group(self, device)

    def remove(self, device: Device) -> None:
        """`echo 1 > remove`: unbinds, which may wait, then the function is gone until a rescan."""

        def finish() -> str:
            self.removed[device.address] = device.spec
            self.disappear(device.address)
            return ""

        self.unbind(device, then=finish)

    def rescan(self) -> None:
        for spec in tuple(self.removed.values()):
            del self.removed[spec.address]
            self.probe(self._add(spec))

    # Binding

    def under_lock(self, device: Device, work: Callable[[], str | None]) -> str | None:
        """Do `work` with the device lock; whoever comes while it is held waits, deaf to signals."""
        if not device.locked:
            return work()
        raise Wait(lambda: not device.locked, lambda: self.under_lock(device, work), owner=device.address)

    def probe(self, device: Device) -> None:
        """device_attach(): the overriding driver only, else the first that knows the id. Finding none is no error."""
        if device.driver or device.locked:
            return
        names = (device.override,) if device.override else device.spec.drivers
        for name in names:
            if (driver := self.drivers.get(name)) and not self._probe_fails(device, driver):
                self._bind(device, driver)
                return

    def _probe_fails(self, device: Device, driver: Driver) -> bool:
        return self.kernel.faults.take("probe", device.address, driver.name) is not None

    def _bind(self, device: Device, driver: Driver) -> None:
        device.driver = driver
        up = "../" * (device.depth + 1)
        device.directory.add("driver", Link(f"{up}bus/pci/drivers/{driver.name}"))
        driver.directory.add(device.address, Link(f"../../../../{device.sysfs}"))
        drivers.attach(self, device, driver)

    def _unlink(self, device: Device) -> None:
        if device.driver:
            device.directory.drop("driver")
            device.driver.directory.drop(device.address)

    def unbind(self, device: Device, then: Callable[[], str | None] = lambda: None) -> str | None:
        """device_release_driver(): links first, then remove(), which may wait for users of the device."""
        return self.under_lock(device, lambda: self._unbind_locked(device, then))

    def _unbind_locked(self, device: Device, then: Callable[[], str | None]) -> str | None:
        driver = device.driver
        if driver is None:
            return then()
        self._unlink(device)

        def finish() -> str | None:
            if device.driver is driver:
                device.locked = False
                drivers.detach(self, device, driver)
                device.driver = None
            return then()

        if not (busy := drivers.busy(self, device, driver)):
            return finish()
        device.locked = True
        raise Wait(lambda: not device.locked or not busy(), finish, owner=device.address)

    # Drivers

    def add_driver(self, spec: FakeDriver, module: str) -> Directory:
        directory = self.driver_directory.directory(spec.name)
        self.drivers[spec.name] = Driver(spec, module, directory)
        directory.add("unbind", Attribute(None, lambda text: self._store_unbind(spec.name, text)))
        directory.add("bind", Attribute(None, lambda text: self._store_bind(spec.name, text)))
        directory.add("new_id", Attribute(None, lambda _text: None))
        return directory

    def driver_registered(self, name: str) -> None:
        """A new driver is offered every device that has none."""
        for device in tuple(self.devices.values()):
            wanted = (device.override,) if device.override else device.spec.drivers
            if name in wanted:
                self.probe(device)

    def remove_driver(self, name: str) -> None:
        """Unregister: every device is unbound; the caller has checked the module's reference count."""
        driver = self.drivers[name]
        for device in tuple(self.devices.values()):
            if device.driver is driver:
                self._unlink(device)
                drivers.detach(self, device, driver)
                device.driver = None
        del self.drivers[name]
        self.driver_directory.drop(name)

    def drm_registered(self, spec: FakeModule) -> None:
        """nvidia_drm gives the functions on nvidia their DRM cards."""
        for device in self.devices.values():
            if device.driver and device.driver.name == spec.drm_for:
                drivers.add_side_card(self, device, spec)

    def drm_unregistered(self, spec: FakeModule) -> None:
        for device in self.devices.values():
            if device.driver and device.driver.name == spec.drm_for:
                self.kernel.graphics.remove_card(device)

    # What is written to the bus

    def _device(self, text: str, error: int = errno.ENODEV) -> Device:
        device = self.devices.get(text.strip())
        if device is None:
            raise OSError(error, "no such device")
        return device

    def _store_probe(self, text: str) -> None:
        """drivers_probe says success although nothing was bound; only an unknown address is EINVAL."""
        self.probe(self._device(text, errno.EINVAL))

    def _store_unbind(self, name: str, text: str) -> None:
        device = self._device(text)
        if device.driver is None or device.driver.name != name:
            raise OSError(errno.ENODEV, "not bound to this driver")
        self.unbind(device)

    def _store_bind(self, name: str, text: str) -> None:
        device = self._device(text)

        def work() -> str:
            names = (device.override,) if device.override else device.spec.drivers
            if name not in names:
                raise OSError(errno.ENODEV, "the driver does not match")
            if device.driver:
                raise OSError(errno.EBUSY, "already bound")
            if self._probe_fails(device, self.drivers[name]):
                raise OSError(errno.EINVAL, "probe failed")
            self._bind(device, self.drivers[name])
            return ""

        self.under_lock(device, work)
