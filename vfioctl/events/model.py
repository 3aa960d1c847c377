"""The event and the domain that libvirt hands to its hook, as frozen data (libvirt.org/hooks.html)."""

from __future__ import annotations

from enum import StrEnum

from vfioctl.frozen import frozen


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
    in_arguments: bool = False  # given in QEMU's own arguments: libvirt does nothing for it


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
class RequiredFile:
    """A file that QEMU or libvirt opens at the start.

    `role` is rom, nvram_template, loader, kernel, disk or backing; `owner` is the disk's target ("vda") or the element
    that names the file. `form` is the format of an image; `ends`: the XML names what is below it, or that nothing is.
    `unless`: needed only while this other file is missing.
    """

    role: str
    path: str
    owner: str = ""
    form: str = ""
    ends: bool = False
    unless: str = ""


@frozen
class UsbDevice:
    """A USB device by vendor and product, by bus and device number, or by all four; one that is `optional` may lack."""

    vendor: int | None = None
    product: int | None = None
    bus: int | None = None
    device: int | None = None
    optional: bool = False


@frozen
class Link:
    """A network interface of the host, by whichever of its names."""

    name: str
    is_bridge: bool = False


@frozen
class Share:
    """A part of the guest's memory.

    `page` is the size of its huge pages (0: the host's default, None: ordinary pages); `nodes` are those of the host
    that it must come from (none: any). A `memfd` is memory that no mount is needed for; `shared`: QEMU maps a file or
    memfd so that what is written is in there.
    """

    bytes: int
    page: int | None = None
    nodes: tuple[int, ...] = ()
    memfd: bool = False
    shared: bool = False


@frozen
class Needs:
    """What one start needs, besides PCI devices."""

    files: tuple[RequiredFile, ...] = ()
    usb: tuple[UsbDevice, ...] = ()
    links: tuple[Link, ...] = ()
    networks: tuple[str, ...] = ()  # of each interface that is on one
    memory: tuple[Share, ...] = ()
    nodes: tuple[int, ...] = ()  # NUMA nodes of the host that must be there
    cpu_model: str | None = None
    pins: tuple[int, ...] = ()  # sets of CPUs of the host, as bits: a thread of the guest runs on each


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
    unseen: tuple[str, ...] = ()  # QEMU's arguments that may take a device and do not say which one

    @property
    def pci_addresses(self) -> tuple[str, ...]:
        return tuple(dev.address for dev in self.hostdevs if dev.kind == "pci" and dev.address)
