"""What the start of a domain may need from the host, as frozen data. Made by needs.py; knows no XML."""

from __future__ import annotations

from vfioctl.frozen import frozen


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
    """A USB device by vendor and product, by bus and device number, or by all four."""

    vendor: int | None = None
    product: int | None = None
    bus: int | None = None
    device: int | None = None


@frozen
class Link:
    """A network interface of the host; `by_any_name`: an alternative name, which sysfs does not show, would do too."""

    name: str
    is_bridge: bool = False
    by_any_name: bool = False


@frozen
class Share:
    """A part of the guest's memory.

    `page` is the size of its huge pages (0: the host's default, None: ordinary pages); `nodes` are those of the host
    that it must come from (none: any).
    """

    bytes: int
    page: int | None = None
    nodes: tuple[int, ...] = ()


@frozen
class Needs:
    """What one start needs, besides PCI devices."""

    files: tuple[RequiredFile, ...] = ()
    usb: tuple[UsbDevice, ...] = ()
    links: tuple[Link, ...] = ()
    networks: tuple[str, ...] = ()
    memory: tuple[Share, ...] = ()
    cpu_model: str | None = None
