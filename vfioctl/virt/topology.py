"""Processors, NUMA cells and huge pages out of libvirt's capabilities of a host. Reads XML; asks through what it gets.

https://libvirt.org/formatcaps.html. virNodeInfo (libvirt-host.h) counts the sockets of one cell: it is asked second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from vfioctl.frozen import frozen

KIB = 1 << 10
SMALLEST = 4 * KIB  # pages of this size are no huge ones
Free = Callable[[int, list[int]], dict[int, int]]  # cell and sizes in KiB to free pages by size


@frozen
class Pages:
    """Pages of one size, in bytes; `free` None: not known."""

    size: int
    total: int
    free: int | None


@frozen
class Cell:
    """A NUMA cell. `distances` to each cell, 10 being its own; `pages` are the huge ones."""

    id: int
    memory: int
    cpus: tuple[int, ...]
    pages: tuple[Pages, ...]
    distances: tuple[tuple[int, int], ...]


@frozen
class Processors:
    """`cores` and `sockets` of the whole machine, `cpus` what runs at once: threads of all cores."""

    arch: str
    name: str  # as the firmware has it, else the model
    model: str  # libvirt's name of what it resembles, "" where it knows none
    vendor: str
    source: str  # of the name: smbios or capabilities
    cpus: int
    sockets: int
    cores: int
    mhz: int

    @property
    def threads(self) -> int:
        """Of each core."""
        return self.cpus // self.cores if self.cores else 1


def read_cells(host: ET.Element, free: Free) -> tuple[Cell, ...]:
    """The cells of the capabilities `host`; none where libvirt lists none."""
    return tuple(_cell(one, free) for one in host.iterfind("host/topology/cells/cell"))


def _cell(cell: ET.Element, free: Free) -> Cell:
    number = int(cell.get("id", "0"))
    sizes = {int(one.get("size", "0")): int(one.text or 0) for one in cell.iterfind("pages")}
    huge = sorted(size for size in sizes if size * KIB > SMALLEST)
    there = free(number, huge) if huge else {}
    return Cell(
        id=number, memory=int(cell.findtext("memory", "0")) * KIB,
        cpus=tuple(sorted(int(one.get("id", "0")) for one in cell.iterfind("cpus/cpu"))),
        pages=tuple(Pages(size * KIB, sizes[size], there.get(size)) for size in huge),
        distances=tuple((int(one.get("id", "0")), int(one.get("value", "0")))
                        for one in cell.iterfind("distances/sibling")),
    )  # fmt: skip


def read_processors(host: ET.Element, info: Sequence[Any], smbios: ET.Element | None) -> Processors:
    """The processors, counted one by one where the cells list them, else as `info` (virNodeInfo) has them."""
    cpu, listed = host.find("host/cpu"), list(host.iterfind("host/topology/cells/cell/cpus/cpu"))
    said = "" if smbios is None else next(_names(smbios), "")
    model = _text(cpu, "model")
    return Processors(
        arch=_text(cpu, "arch") or str(info[0]), name=said or model or str(info[0]), model=model,
        vendor=_text(cpu, "vendor"), source="smbios" if said else "capabilities", cpus=len(listed) or int(info[2]),
        sockets=_distinct(listed, "socket_id") or int(info[4] * info[5]),
        cores=_distinct(listed, "socket_id", "die_id", "core_id") or int(info[4] * info[5] * info[6]),
        mhz=int(info[3]),
    )  # fmt: skip


def _names(smbios: ET.Element) -> Iterator[str]:
    """What the firmware calls each processor; emulated ones are called after their machine type."""
    for entry in smbios.iterfind("processor/entry"):
        text = " ".join((entry.text or "").split())
        if entry.get("name") == "version" and text and not text.startswith("pc-"):
            yield text


def _text(element: ET.Element | None, path: str) -> str:
    return "" if element is None else element.findtext(path, "")


def _distinct(cpus: Sequence[ET.Element], *names: str) -> int:
    """How many combinations of these attributes there are; 0 where no CPU has them."""
    return len({tuple(cpu.get(name, "") for name in names) for cpu in cpus if cpu.get(names[0]) is not None})
