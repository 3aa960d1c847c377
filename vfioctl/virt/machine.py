"""The machine that a node is, as its libvirt sees it: processors, memory, what it can run. Changes nothing.

A firmware without SMBIOS, an older libvirt, and a connection that may only read, each leave something out: then it is
taken from elsewhere, or is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from xml.etree import ElementTree as ET

from vfioctl.frozen import frozen
from vfioctl.virt.connection import binding
from vfioctl.virt.features import Features, read_features
from vfioctl.virt.topology import Cell, Pages, Processors, read_cells, read_processors

if TYPE_CHECKING:
    from libvirt import virConnect

    from vfioctl.virt.connection import Connection

KIB = 1 << 10
SMBIOS, FIRMWARE = "smbios", "firmware"  # where a name comes from
T = TypeVar("T")


@frozen
class Maker:
    """Who made the machine, and what it is called; `source` is smbios, firmware, or "" where nothing says it."""

    vendor: str = ""
    product: str = ""
    version: str = ""
    source: str = ""


@frozen
class Counted:
    """How many guests there are, and how many of them run."""

    all: int
    running: int


@frozen
class Summary:
    """A node in a line."""

    hostname: str
    libvirt: str
    hypervisor: str  # "QEMU 7.2.22"
    guests: Counted


@frozen
class Machine:
    """A node in full; bytes throughout. None is what this libvirt, or this user, cannot see."""

    summary: Summary
    maker: Maker
    processors: Processors
    memory: int
    available: int | None
    cells: tuple[Cell, ...]
    features: Features


def read_summary(connection: Connection) -> Summary:
    """Raises VfioctlError as `Connection.ask`."""
    return connection.ask(_summary, "what it is")


def read_machine(connection: Connection) -> Machine:
    """Raises VfioctlError as `Connection.ask`."""
    return connection.ask(_machine, "its machine")


def read_pages(connection: Connection) -> tuple[Pages, ...]:
    """The huge pages of a node by size, those of all cells together; none where it has none, or lists no cells.

    Raises VfioctlError as `Connection.ask`.
    """
    cells = connection.ask(lambda libvirt: _cells(libvirt, ET.fromstring(libvirt.getCapabilities())), "its huge pages")
    found: dict[int, list[Pages]] = {}
    for page in (page for cell in cells for page in cell.pages):
        found.setdefault(page.size, []).append(page)
    return tuple(_together(found[size]) for size in sorted(found))


def _together(pages: list[Pages]) -> Pages:
    free = [page.free for page in pages if page.free is not None]
    return Pages(pages[0].size, sum(page.total for page in pages), sum(free) if len(free) == len(pages) else None)


def _cells(libvirt: virConnect, host: ET.Element) -> tuple[Cell, ...]:
    return read_cells(host, lambda cell, sizes: able(lambda: _free_pages(libvirt, cell, sizes), {}))


def _summary(libvirt: virConnect) -> Summary:
    running = libvirt.numOfDomains()
    guests = Counted(running + libvirt.numOfDefinedDomains(), running)
    hypervisor = f"{libvirt.getType()} {_version(libvirt.getVersion())}"
    return Summary(str(libvirt.getHostname()), _version(libvirt.getLibVersion()), hypervisor, guests)


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"


def _machine(libvirt: virConnect) -> Machine:
    host = ET.fromstring(libvirt.getCapabilities())
    smbios = _smbios(libvirt)
    info = libvirt.getInfo()  # model, memory in MiB, CPUs, MHz, NUMA cells, sockets, cores, threads
    cells, stats = _cells(libvirt, host), _memory_stats(libvirt)
    return Machine(
        summary=_summary(libvirt), maker=_maker(libvirt, smbios), processors=read_processors(host, info, smbios),
        memory=stats.get("total", 0) * KIB or sum(cell.memory for cell in cells) or info[1] * KIB * KIB,
        available=able(lambda: _available(libvirt, stats), None), cells=cells,
        features=read_features(host, able(lambda: _domain_capabilities(libvirt, host), None)),
    )  # fmt: skip


def able(ask: Callable[[], T], otherwise: T) -> T:
    """What `ask` gives, or `otherwise` where this libvirt or this user cannot; whatever else goes wrong is raised.

    A part of /sys or /proc that a kernel or a container lacks is an internal error to libvirt.
    """
    module = binding()
    lacking = {module.VIR_ERR_NO_SUPPORT, module.VIR_ERR_OPERATION_UNSUPPORTED, module.VIR_ERR_CONFIG_UNSUPPORTED,
               module.VIR_ERR_ARGUMENT_UNSUPPORTED, module.VIR_ERR_OPERATION_DENIED, module.VIR_ERR_ACCESS_DENIED,
               module.VIR_ERR_INTERNAL_ERROR, module.VIR_ERR_NO_NODE_DEVICE, module.VIR_ERR_INVALID_ARG}  # fmt: skip
    try:
        return ask()
    except module.libvirtError as error:
        if error.get_error_code() in lacking and error.get_error_domain() != module.VIR_FROM_RPC:
            return otherwise
        raise


def _smbios(libvirt: virConnect) -> ET.Element | None:
    """None where the machine has none, or no dmidecode to read it."""
    said = able(lambda: str(libvirt.getSysinfo(0)), "")
    return ET.fromstring(said) if said else None


def _maker(libvirt: virConnect, smbios: ET.Element | None) -> Maker:
    """From SMBIOS, else from what the kernel shows of the firmware: the device "computer" of libvirt."""
    found = smbios.find("system") if smbios is not None else None
    said = {one.get("name", ""): (one.text or "").strip() for one in found.iter("entry")} if found is not None else {}
    if said:
        return Maker(said.get("manufacturer", ""), said.get("product", ""), said.get("version", ""), SMBIOS)
    shown = able(lambda: str(libvirt.nodeDeviceLookupByName("computer").XMLDesc()), "")
    device = ET.fromstring(shown).find("capability") if shown else None
    if device is None:
        return Maker()
    vendor, product = device.findtext("hardware/vendor", ""), device.findtext("product", "")
    return Maker(vendor, product, device.findtext("hardware/version", ""), FIRMWARE if vendor or product else "")


def _memory_stats(libvirt: virConnect) -> dict[str, int]:
    """What /proc/meminfo says there, in KiB, by libvirt's names. A kernel may have memory that is in no NUMA cell."""
    found: dict[str, int] = able(lambda: libvirt.getMemoryStats(binding().VIR_NODE_MEMORY_STATS_ALL_CELLS, 0), {})
    return found


def _available(libvirt: virConnect, stats: dict[str, int]) -> int:
    """Bytes that guests can have: what is free, and the caches that the kernel gives up for them."""
    if "free" in stats:
        return int(stats["free"] + stats.get("buffers", 0) + stats.get("cached", 0)) * KIB
    return int(libvirt.getFreeMemory())


def _free_pages(libvirt: virConnect, cell: int, sizes: list[int]) -> dict[int, int]:
    """How many pages of each size (KiB) are free in a cell."""
    found: dict[int, dict[int, int]] = libvirt.getFreePages(sizes, cell, 1)
    return found.get(cell, {})


def _domain_capabilities(libvirt: virConnect, host: ET.Element) -> ET.Element:
    arch = host.findtext("host/cpu/arch") or None
    return ET.fromstring(libvirt.getDomainCapabilities(None, arch, None, None, 0))
