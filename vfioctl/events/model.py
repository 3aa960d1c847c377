"""The event and the domain that libvirt hands to its hook, as frozen data (libvirt.org/hooks.html)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from vfioctl.events.required import Needs


class Operation(StrEnum):
    """The operations of the qemu hook; UNKNOWN keeps a newer libvirt from being an error."""

    PREPARE = "prepare"
    START = "start"
    STARTED = "started"
    STOPPED = "stopped"
    RELEASE = "release"
    MIGRATE = "migrate"
    RESTORE = "restore"
    RECONNECT = "reconnect"
    ATTACH = "attach"
    UNKNOWN = "unknown"


@frozen
class Event:
    """One call of the hook: GUEST OP SUBOP EXTRA."""

    guest: str
    operation: Operation
    sub_operation: str
    extra: str  # the shutoff reason since libvirt 10.5, "-" before; never decides anything


@frozen
class Hostdev:
    """A device that the domain takes from the host. `address` is the *source* address."""

    kind: str  # pci, mdev, usb, scsi, …
    address: str | None  # PCI only, DDDD:BB:DD.F
    managed: bool = False
    driver: str | None = None  # <driver name=…/>
    model: str | None = None  # <driver model=…/>: a variant driver
    mdev_uuid: str | None = None


@frozen
class Disk:
    """A disk of the domain. `source` is None for an empty drive and for a network source."""

    target: str  # vda
    type: str  # file, block, network, volume …
    device: str  # disk, cdrom, floppy, lun
    format: str | None
    source: str | None
    readonly: bool = False
    shareable: bool = False
    transient: bool = False
    has_backing_store: bool = False  # <backingStore> with a source: libvirt owns a chain
    external_snapshot: bool = False


@frozen
class Domain:
    """What of a domain XML matters here; the rest is kept in `unknown` by element path, not interpreted."""

    name: str
    uuid: str
    type: str = "kvm"
    hostdevs: tuple[Hostdev, ...] = ()
    disks: tuple[Disk, ...] = ()
    nvram: str | None = None
    loader: str | None = None
    has_vtpm: bool = False
    evdev_inputs: tuple[str, ...] = ()
    memory_bytes: int = 0
    emulator: str | None = None
    unknown: tuple[str, ...] = ()
    needs: Needs | None = None  # what the start needs besides PCI devices; None: not read

    @property
    def pci_addresses(self) -> tuple[str, ...]:
        return tuple(dev.address for dev in self.hostdevs if dev.kind == "pci" and dev.address)
