"""The domain XML as a Domain: which devices and disks the guest wants. Asks nobody, changes nothing.

Format: libvirt.org/formatdomain.html. A device counts by its *source* address, never by the guest-side one.
"""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.errors import Refused
from vfioctl.events.element import Element, malformed, parse_element, pci_address, short, size
from vfioctl.events.libvirt import INPUT_CAP, check_guest_name, too_large
from vfioctl.events.model import Disk, Domain, Hostdev
from vfioctl.events.needs import read_needs

READ = ("name", "uuid", "memory", "os", "devices", "qemu:commandline", "qemu:override")
READ_DEVICES = ("emulator", "disk", "hostdev", "interface", "input", "tpm")
UNREAD = ("metadata", "title", "description")  # of users and their tools, as large as libvirt takes it
UUID_PARTS = (8, 4, 4, 4, 12)


def read_domain(data: bytes, *, cap: int = INPUT_CAP) -> Domain:
    """The domain that `data` describes. Raises Refused (domain.*, guest.name) and nothing else."""
    if len(data) > cap:
        raise too_large(cap)
    root = parse_element(data, unread=UNREAD)
    if root.name != "domain":
        raise malformed(root.line, f"the root is <{short(root.name)}>, not <domain>")
    passed, unseen = _passed_on(root)
    return Domain(
        name=_name(root),
        uuid=_uuid(root),
        type=root.get("type") or "kvm",
        hostdevs=(*_hostdevs(_devices(root)), *passed),
        disks=tuple(_disk(element) for element in _devices(root).all("disk")),
        nvram=_nvram(root),
        loader=root.text_of("os", "loader"),
        has_vtpm=_has_vtpm(_devices(root)),
        evdev_inputs=tuple(_evdev_inputs(root)),
        memory_bytes=_memory(root),
        emulator=_devices(root).text_of("emulator"),
        unknown=_unknown(root),
        needs=read_needs(root, _devices(root)),
        unseen=unseen,
    )


def read_hostdevs(data: bytes) -> tuple[Hostdev, ...]:
    """The devices of the host that the domain `data` takes, in whatever words. Raises Refused (domain.*)."""
    root = parse_element(data, unread=UNREAD)
    return (*_hostdevs(_devices(root)), *_passed_on(root)[0])


def _passed_on(root: Element) -> tuple[tuple[Hostdev, ...], tuple[str, ...]]:
    """The devices that QEMU's own arguments take, and the arguments that do not say which one."""
    if not root.is_extended:
        return (), ()
    from vfioctl.events.qemu_arguments import read_arguments

    passed = read_arguments(root)
    return passed.hostdevs, passed.unseen


def _devices(root: Element) -> Element:
    return root.find("devices") or Element("devices", {}, root.line)


def _name(root: Element) -> str:
    name = root.text_of("name")
    if name is None:
        raise Refused("domain.nameless", "The domain XML has no <name>.")
    check_guest_name(name)
    return name


def _uuid(root: Element) -> str:
    """The UUID in its canonical form: it becomes a file name."""
    text = (root.text_of("uuid") or "").strip()
    if not text:
        raise Refused("domain.no_uuid", "The domain XML has no <uuid>.")
    digits = text.replace("-", "").lower()
    if len(digits) != sum(UUID_PARTS) or not set(digits) <= set("0123456789abcdef"):
        raise malformed(root.line, f"<uuid> is {short(text)!r}, which is no UUID")
    ends = [sum(UUID_PARTS[: index + 1]) for index in range(len(UUID_PARTS))]
    return "-".join(digits[end - size : end] for end, size in zip(ends, UUID_PARTS, strict=True))


def _hostdevs(devices: Element) -> Iterator[Hostdev]:
    """Devices taken from the host: <hostdev>, a network function as <interface>, NVMe drives of a <disk>."""
    for element in devices.children:
        if element.name == "hostdev":
            yield _hostdev(element, element.get("type") or element.get("mode") or "unknown")
        elif element.name == "interface" and element.get("type") == "hostdev":
            yield _hostdev(element, _bus(element))
        elif element.name == "disk":
            yield from _drives(element)


def _bus(interface: Element) -> str:
    """The bus of an interface's source, which libvirt takes from its address: pci or usb."""
    address = interface.find("source", "address")
    return (address.get("type") if address else None) or "pci"


def _drives(image: Element) -> Iterator[Hostdev]:
    """The NVMe drives of an image: itself, that of its data, and those below it.

    libvirt takes each of a chain (virHostdevGetNVMeDeviceList); QEMU alone opens one that has the data.
    """
    if image.get("type") == "nvme":
        yield _hostdev(image, "pci")
    for below in (image.find("source", "dataStore"), image.find("backingStore")):
        if below:
            yield from _drives(below)


def _hostdev(element: Element, kind: str) -> Hostdev:
    source = element.find("source")
    address = source.find("address") if source else None
    driver = element.find("driver")
    managed = element.get("managed") or (source.get("managed") if source else None)
    return Hostdev(
        kind=kind,
        address=pci_address(address) if address and kind == "pci" else None,
        managed=managed == "yes",
        driver=driver.get("name") if driver else None,
        model=driver.get("model") if driver else None,
        mdev_uuid=address.get("uuid") if address and kind == "mdev" else None,
    )


def _disk(element: Element) -> Disk:
    source, target, driver = (element.find(name) for name in ("source", "target", "driver"))
    return Disk(
        target=(target.get("dev") if target else None) or "",
        type=element.get("type") or "file",
        device=element.get("device") or "disk",
        format=driver.get("type") if driver else None,
        source=_disk_source(element.get("type") or "file", source),
        readonly=element.find("readonly") is not None,
        shareable=element.find("shareable") is not None,
        transient=element.find("transient") is not None,
        has_backing_store=element.find("backingStore", "source") is not None,
        external_snapshot=element.get("snapshot") == "external",
    )


def _disk_source(kind: str, source: Element | None) -> str | None:
    """The path of a disk that is a file or a block device here; others have none."""
    attribute = {"file": "file", "block": "dev", "dir": "dir"}.get(kind)
    return source.get(attribute) if source and attribute else None


def _nvram(root: Element) -> str | None:
    """<nvram>PATH</nvram>, or <nvram type='file'><source file='PATH'/> since libvirt 8.5."""
    nvram = root.find("os", "nvram")
    if nvram is None:
        return None
    source = nvram.find("source")
    return source.get("file") if source else nvram.text.strip() or None


def _has_vtpm(devices: Element) -> bool:
    backends = (tpm.find("backend") for tpm in devices.all("tpm"))
    return any(backend is not None and backend.get("type") == "emulator" for backend in backends)


def _evdev_inputs(root: Element) -> Iterator[str]:
    """Input devices that the guest grabs: <input> with a source, or QEMU's own input-linux object."""
    for element in _devices(root).all("input"):
        source = element.find("source")
        if source and (path := source.get("dev") or source.get("evdev")):
            yield path
    if not root.is_extended:
        return
    from vfioctl.events.qemu_arguments import objects

    yield from (str(one["evdev"]) for one in objects(root, "input-linux") if one.get("evdev"))


def _memory(root: Element) -> int:
    memory = root.find("memory")
    return size(memory.text, memory.get("unit"), memory) if memory else 0


def _unknown(root: Element) -> tuple[str, ...]:
    """The elements that were not read, by path, each once and in order."""
    top = (child.name for child in root.children if child.name not in READ)
    devices = (f"devices/{child.name}" for child in _devices(root).children if child.name not in READ_DEVICES)
    return tuple(dict.fromkeys((*top, *devices)))
