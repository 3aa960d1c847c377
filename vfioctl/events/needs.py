"""What the start of a domain needs from the host besides PCI devices, out of its XML. Looks at nothing.

Read is only what libvirt or QEMU insist on (libvirt.org/formatdomain.html; tests/libvirt/test_failing_starts.py holds
each against a real daemon): what may be missing, because the domain says so, is not in it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import islice

from vfioctl.events.element import Element, size, unsigned
from vfioctl.events.model import Link, Needs, RequiredFile, Share, UsbDevice

SOURCES = {"file": "file", "block": "dev", "dir": "dir"}  # disk type → the attribute of <source>
OWNERS = {"graphics": "graphics device", "memory": "memory device"}  # where the element's name says too little
OPTIONAL = "optional"  # startupPolicy: the start goes on without; "requisite" may be missing only on the way in
MAX_CELLS = 128  # NUMA nodes of a guest: QEMU makes no more (MAX_NODES in include/sysemu/numa.h)
NODE_DIGITS = 4  # no host has 10,000 NUMA nodes
BINDING = ("strict", "restrictive")  # numatune modes that let memory come from the named nodes alone


def read_needs(root: Element, devices: Element) -> Needs:
    """What the domain `root` needs. Raises Refused(domain.malformed) for a number that is none."""
    return Needs(
        files=(
            *_boot_files(root), *_roms(root, devices), *_device_files(devices), *_argument_files(root),
            *_disks(devices),
        ),
        usb=tuple(_usb(devices)),
        links=tuple(_links(devices)),
        networks=tuple(_networks(devices)),
        memory=tuple(_memory(root, devices)),
        nodes=_named_nodes(root),
        cpu_model=_cpu_model(root),
        pins=tuple(dict.fromkeys(_pins(root))),
    )


def _path(text: str | None) -> str:
    """`text` when it is an absolute path: QEMU searches a bare name in its own directories."""
    return text if text and text.startswith("/") and "\0" not in text else ""


# Firmware, kernel, ROMs


def _boot_files(root: Element) -> Iterator[RequiredFile]:
    if loader := _path(root.text_of("os", "loader")):
        yield RequiredFile("loader", loader)
    nvram = root.find("os", "nvram")
    # libvirt fills no NVRAM on a share, and none that is there (qemuPrepareNVRAM)
    if nvram and nvram.get("type") != "network" and (template := _path(nvram.get("template"))):
        source = nvram.find("source")
        kept = (source.get("file") or source.get("dev") or "") if source else nvram.text.strip()
        yield RequiredFile("nvram_template", template, unless=kept)
    for name in ("kernel", "initrd", "dtb"):
        if path := _path(root.text_of("os", name)):
            yield RequiredFile("kernel", path, owner=name)
    acpi = root.find("os", "acpi")
    for table in acpi.all("table") if acpi else ():
        if path := _path(table.text.strip()):
            yield RequiredFile("file", path, owner="ACPI table")


def _roms(root: Element, devices: Element) -> Iterator[RequiredFile]:
    """With bar='off' QEMU hands the ROM to the firmware by itself, and starts without it."""
    for device in devices.children:
        rom = device.find("rom")
        if rom and rom.get("enabled") != "no" and rom.get("bar") != "off" and (path := _path(rom.get("file"))):
            yield RequiredFile("rom", path, owner=device.name)
    if not root.is_extended:
        return
    from vfioctl.events.qemu_arguments import roms

    for named in roms(root):
        if path := _path(named):
            yield RequiredFile("rom", path, owner="device in QEMU's arguments")


def _device_files(devices: Element) -> Iterator[RequiredFile]:
    """What other devices open: a shared directory, a port or TPM of the host, a source of random numbers, a script."""
    for device in devices.children:
        opened = OPENED.get(device.name)
        if opened and (path := _path(opened(device))):
            yield RequiredFile("file", path, owner=OWNERS.get(device.name, device.name))


def _argument_files(root: Element) -> Iterator[RequiredFile]:
    """What QEMU opens since its own arguments say so."""
    if not root.is_extended:
        return
    from vfioctl.events.qemu_arguments import drives, objects

    shared = (_kept(str(one.get("mem-path") or "")) for one in objects(root, "memory-backend-file"))
    for owner, paths in (("memory backend", shared), ("drive", drives(root))):
        yield from (RequiredFile("file", path, f"{owner} in QEMU's arguments") for path in map(_path, paths) if path)


def _kept(path: str) -> str:
    """What must be there for memory in the file `path`: QEMU makes the file itself (file_ram_open), unless in /dev."""
    directory = path.rpartition("/")[0]
    return path if directory == "/dev" else directory


def _of_source(device: Element, attribute: str) -> str | None:
    source = device.find("source")
    return source.get(attribute) if source else None


def _shared(device: Element) -> str | None:
    """The directory of a share; of a virtiofsd that runs already (<source socket=…>) libvirt knows none."""
    driver = device.find("driver")
    kind = driver.get("type") if driver else None
    return _of_source(device, "dir") if kind in (None, "path", "virtiofs") else None


def _port(device: Element) -> str | None:
    """The node of a port, or the socket that QEMU connects to once; a <console> may be the same port a second time."""
    target, source = device.find("target"), device.find("source")
    if device.name == "console" and (target is None or target.get("type") in (None, "serial")):
        return None
    connects = device.get("type") == "unix" and source is not None and source.get("mode") == "connect"
    return _of_source(device, "path") if device.get("type") == "dev" or (connects and not _reconnects(source)) else None


def _reconnects(source: Element | None) -> bool:
    reconnect = source.find("reconnect") if source else None
    return reconnect is not None and reconnect.get("enabled") == "yes"


def _randomness(device: Element) -> str | None:
    backend = device.find("backend")
    return backend.text.strip() if backend and backend.get("model") == "random" else None


def _tpm(device: Element) -> str | None:
    backend = device.find("backend")
    opened = backend.find("device") if backend and backend.get("type") == "passthrough" else None
    return opened.get("path") if opened else None


def _render_node(device: Element) -> str | None:
    gl = device.find("gl")
    return gl.get("rendernode") if gl and gl.get("enable") != "no" else None


def _of_interface(device: Element) -> str | None:
    """A vDPA device, the socket of a vhost-user switch that QEMU connects to, or a script."""
    kind, source, script = device.get("type"), device.find("source"), device.find("script")
    if kind == "vdpa":
        return _of_source(device, "dev")
    if kind == "vhostuser" and source and source.get("mode") == "client" and not _reconnects(source):
        return source.get("path")
    return script.get("path") if script else None


def _plugged(device: Element) -> str | None:
    path = device.find("source", "path")
    return _kept(path.text.strip()) if path else None


OPENED = {
    "filesystem": _shared, "serial": _port, "parallel": _port, "channel": _port, "console": _port, "rng": _randomness,
    "tpm": _tpm, "graphics": _render_node, "interface": _of_interface, "memory": _plugged,
}  # fmt: skip


# Disks


def _disks(devices: Element) -> Iterator[RequiredFile]:
    for disk in devices.all("disk"):
        source, target, driver = (disk.find(name) for name in ("source", "target", "driver"))
        if source is None or source.get("startupPolicy") == OPTIONAL:
            continue
        owner = (target.get("dev") if target else None) or "disk"
        form = (driver.get("type") if driver else None) or "raw"
        yield from _images(disk, owner, form)


def _images(disk: Element, owner: str, form: str) -> Iterator[RequiredFile]:
    """The disk's image and those that the XML names below it. <backingStore/> ends the chain."""
    image: Element | None = disk
    while image is not None:
        below = image.find("backingStore")
        source = image.find("source")
        path = _path(source.get(SOURCES.get(image.get("type") or "file", ""))) if source else ""
        own_data = source is not None and source.find("dataStore") is not None  # in the place of what the header says
        if path:
            role = "disk" if image is disk else "backing"
            yield RequiredFile(role, path, owner=owner, form=form, ends=below is not None or own_data)
        image = below if below and below.find("source") else None
        declared = image.find("format") if image else None
        form = (declared.get("type") if declared else None) or "raw"


# USB


def _usb(devices: Element) -> Iterator[UsbDevice]:
    for hostdev in devices.all("hostdev"):
        source = hostdev.find("source")
        if hostdev.get("type") == "usb" and source:
            address = source.find("address")
            bus = _number(address, "bus") or None  # 0 is none, and then its device counts for nothing
            yield UsbDevice(
                vendor=_number(source.find("vendor"), "id"), product=_number(source.find("product"), "id"),
                bus=bus, device=_number(address, "device") if bus else None,
                optional=source.get("startupPolicy") == OPTIONAL,
            )  # fmt: skip


def _number(element: Element | None, attribute: str) -> int | None:
    text = element.get(attribute) if element else None
    return unsigned(text, element, 0xFFFF, f"{attribute} of a USB device") if element and text else None


# Networks


def _links(devices: Element) -> Iterator[Link]:
    """Network interfaces of the host. A bridge with a <virtualport> is no Linux bridge."""
    for interface in devices.all("interface"):
        source, target = interface.find("source"), interface.find("target")
        kind = interface.get("type")
        if kind == "bridge" and source and (name := source.get("bridge")):
            yield Link(name, is_bridge=interface.find("virtualport") is None)
        lower = source if kind == "direct" else None
        tap = target if kind == "ethernet" and target and target.get("managed") == "no" else None
        if (made := lower or tap) and (name := made.get("dev")):
            yield Link(name)


def _networks(devices: Element) -> Iterator[str]:
    """The network of each interface that is on one."""
    for interface in devices.all("interface"):
        source = interface.find("source")
        if interface.get("type") == "network" and source and (name := source.get("network")):
            yield name


# Memory


def _memory(root: Element, devices: Element) -> Iterator[Share]:
    """The guest's memory by guest NUMA node: how much, from which pages, from which nodes of the host."""
    cells = tuple(_cells(root, devices))
    pages, page = _pages(root)
    bound, nodes = _bindings(root, {number for number, *_ in cells})
    source, general = root.find("memoryBacking", "source"), root.find("memoryBacking", "access")
    memfd = source is not None and source.get("type") == "memfd"
    for number, amount, access in cells:
        mode = access or (general.get("mode") if general else None) or ("shared" if memfd else "private")
        yield Share(amount, pages.get(number, page), bound.get(number, nodes), memfd, mode == "shared")


def _cells(root: Element, devices: Element) -> Iterator[tuple[int, int, str | None]]:
    """(guest node, bytes, its own access mode).

    Without nodes all is in one; not where memory is plugged in, which has its own settings.
    """
    numa = root.find("cpu", "numa")
    cells = tuple(islice(numa.all("cell"), MAX_CELLS)) if numa else ()
    for position, cell in enumerate(cells):
        number = unsigned(cell.get("id") or str(position), cell, 0xFFFF, "id of a NUMA node")
        yield number, size(cell.get("memory") or "0", cell.get("unit"), cell), cell.get("memAccess")
    memory = root.find("memory")
    if not cells and memory and devices.find("memory") is None:
        yield 0, size(memory.text, memory.get("unit"), memory), None


def _pages(root: Element) -> tuple[dict[int, int], int | None]:
    """Bytes of a page by the guest node that <hugepages> names, and for the others.

    0 is the host's default, None an ordinary page. Of two that fit, the first counts.
    """
    huge = root.find("memoryBacking", "hugepages")
    if huge is None:
        return {}, None
    named: dict[int, int] = {}
    general = None if huge.find("page") else 0
    left = (1 << MAX_CELLS) - 1
    for page in huge.all("page"):
        kind, nodes = size(page.get("size") or "0", page.get("unit"), page), mask_of(page.get("nodeset"))
        general = kind if general is None and not nodes else general
        named.update(dict.fromkeys(_bits(nodes & left), kind))
        left &= ~nodes
    return named, general


def _bindings(root: Element, cells: Container[int]) -> tuple[dict[int, tuple[int, ...]], tuple[int, ...]]:
    """The nodes of the host that memory must come from: of each guest node of `cells` that has its own, of the others.

    None: any. Each set is read once, however many guest nodes it is for.
    """
    tune = root.find("numatune")
    if tune is None:
        return {}, ()
    own: dict[int, tuple[int, ...]] = {}
    for node in tune.all("memnode"):
        number = _plain_number(node.get("cellid"))
        if number in cells and number not in own:
            own[number] = _strict(node)
    return own, _strict(tune.find("memory"))


def _named_nodes(root: Element) -> tuple[int, ...]:
    """The nodes of the host that <numatune> names: libvirt looks for each, also where memory may come from others."""
    tune = root.find("numatune")
    if tune is None:
        return ()
    mask = 0
    for chosen in (tune.find("memory"), *islice(tune.all("memnode"), MAX_CELLS)):
        mask |= mask_of(chosen.get("nodeset")) if chosen else 0
    return tuple(_bits(mask))


def _plain_number(text: str | None) -> int:
    """The number of a guest node, as libvirt writes it; -1 for none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= NODE_DIGITS else -1


def _strict(chosen: Element | None) -> tuple[int, ...]:
    if chosen is None or (chosen.get("mode") or "strict") not in BINDING:
        return ()
    return node_set(chosen.get("nodeset"))


def node_set(text: str | None) -> tuple[int, ...]:
    """The nodes in "0-2,^1,4"; none for what libvirt would refuse (virBitmapParse)."""
    return tuple(_bits(mask_of(text)))


def mask_of(text: str | None) -> int:
    """`node_set`, or a set of CPUs, with a bit for each: long texts, and many, cost no more than they are long."""
    found = 0
    for part in (text or "").replace(" ", "").split(","):
        first, _, last = part.removeprefix("^").partition("-")
        if not all(word.isascii() and word.isdigit() and len(word) <= NODE_DIGITS for word in (first, last or first)):
            return 0
        length = int(last or first) - int(first) + 1
        bits = ((1 << length) - 1) << int(first) if length > 0 else 0
        found = found & ~bits if part.startswith("^") else found | bits
    return found


def _bits(mask: int) -> Iterator[int]:
    return (number for number in range(mask.bit_length()) if mask >> number & 1)


# CPU


def _pins(root: Element) -> Iterator[int]:
    """The CPUs of the host, as bits, that each thread of the guest may run on; those only that run from the start."""
    tune, vcpu = root.find("cputune"), root.find("vcpu")
    some = vcpu is not None and vcpu.get("current") is not None  # of the others any may be plugged in later
    for pin in tune.children if tune else ():
        if pin.name == "emulatorpin" or (pin.name == "vcpupin" and (pin.get("vcpu") == "0" or not some)):
            yield mask_of(pin.get("cpuset"))


def _cpu_model(root: Element) -> str | None:
    """The named model that the guest must get; with match='minimum' it is only compared with the host's."""
    cpu = root.find("cpu")
    if cpu is None or cpu.get("mode") not in (None, "custom") or cpu.get("match") == "minimum":
        return None
    return cpu.text_of("model")

