"""`vfioctl node …`: the nodes in a table, one machine in full, devices by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.tables import Column, table, words
from vfioctl.sizes import as_size

if TYPE_CHECKING:
    from rich.console import RenderableType

NODES = (
    Column("node", 16), Column("state", 12), Column("guests", 12), Column("libvirt", 8), Column("hypervisor", 12),
    Column("uri"),
)  # fmt: skip
PCI = (Column("address", 12), Column("class", 16), Column("group", 5, right=True), Column("driver", 14),
       Column("guest", 20), Column("name"))  # fmt: skip
USB = (Column("bus", 7), Column("identity", 9), Column("guest", 20), Column("name"))
NETWORK = (Column("interface", 15), Column("link", 16), Column("address", 17), Column("guest", 20), Column("on", 12))
DISK = (Column("disk", 16), Column("bus", 6), Column("size", 10, right=True), Column("guest", 20), Column("on", 12),
        Column("name"))  # fmt: skip
TITLES = {"gpu": "Cards", "pci": "PCI", "usb": "USB", "network": "Network", "disk": "Disks"}
UNKNOWN = "not known"


def listed(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """One row a node; why one does not answer is said below, as an error."""
    yield table(NODES, map(_row, data["nodes"]))


def _row(node: Mapping[str, Any]) -> tuple[object, ...]:
    state = "cordoned" if node["cordoned"] else "ready"
    guests = node["guests"] and f"{node['guests']['running']} of {node['guests']['all']} run"
    return (node["name"], state if node["answers"] else "no answer", guests, node["libvirt"], node["hypervisor"],
            node["uri"])  # fmt: skip


def shown(data: Mapping[str, Any]) -> Iterator[str]:
    """What it is called, then its machine, then what guests there can have."""
    node = data["node"]
    cordoned = ", cordoned: it takes no new guest and starts none" if node["cordoned"] else ""
    yield f"{node['name'] or node['uri']}: {node['hostname']}, {node['uri']}{cordoned}"
    rows = [*_itself(node), *_processors(node["processors"]), *_memory(node), *_features(node["features"])]
    width = max(len(name) for name, _ in rows)
    yield from (f"  {name:<{width}}  {text}" for name, text in rows)


def _itself(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    maker = " ".join(filter(None, (node["machine"]["vendor"], node["machine"]["product"], node["machine"]["version"])))
    yield "machine", maker or UNKNOWN
    if node["labels"]:
        yield "labels", words(f"{key}={value}" for key, value in node["labels"].items())
    yield "libvirt", f"{node['libvirt']}, {node['hypervisor']}"
    yield "guests", f"{node['guests']['all']}, of which {node['guests']['running']} run"


def _processors(one: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "processor", f"{one['name']} ({one['arch']})" + (f", like {one['model']}" if one["model"] else "")
    counted = f"{_count(one['sockets'], 'socket')}, {_count(one['cores'], 'core')}, {_count(one['cpus'], 'thread')}"
    yield "", counted + (f", {one['mhz']} MHz" if one["mhz"] else "")


def _memory(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    available = node["memory"]["available"]
    free = "" if available is None else f", {as_size(available)} available"
    yield "memory", f"{as_size(node['memory']['total'])}{free}"
    for cell in node["cells"] if len(node["cells"]) > 1 else ():
        yield f"cell {cell['id']}", f"{as_size(cell['memory'])}, CPUs {_ranges(cell['cpus'])}"
    pages = [(cell["id"], one) for cell in node["cells"] for one in cell["pages"] if one["total"]]
    for number, one in pages:
        there = "" if one["free"] is None else f", {one['free']} free"
        yield "huge pages", f"cell {number}: {one['total']} of {as_size(one['size'])}{there}"
    if not pages:
        yield "huge pages", "none reserved"


def _features(one: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "KVM", _said(one["kvm"]) + (f" ({one['extension']})" if one["extension"] else "")
    yield "IOMMU", _said(one["iommu"])
    yield "UEFI", _said(one["uefi"]) + (", with secure boot" if one["secure_boot"] else "")
    yield "TPM", UNKNOWN if one["tpm"] is None else words(one["tpm"], "no")


def _said(value: bool | None) -> str:  # noqa: FBT001 -- it is what is shown
    return UNKNOWN if value is None else "yes" if value else "no"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _ranges(numbers: Sequence[int]) -> str:
    """0-3,8 of 0, 1, 2, 3, 8: as the kernel writes lists of CPUs."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in found) or "-"


def devices(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """A table for each kind that there is; its node is a column where several were asked."""
    several = len(data["nodes"]) > 1
    there = [(kind, [row for row in data["devices"] if row["kind"] == kind]) for kind in TITLES]
    for kind, rows in there:
        if rows:
            yield f"{TITLES[kind]}:"
            columns, cells = SHAPES[kind]
            yield table((*((Column("node", 16),) if several else ()), *columns),
                        ((*((row["node"],) if several else ()), *cells(row)) for row in rows))  # fmt: skip
    if not data["devices"]:
        yield "There is no such device, or libvirt sees none."


def _pci(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (row["name"], row["class"], row["group"], row["driver"] or "-", _whose(row), _called(row))


def _usb(row: Mapping[str, Any]) -> tuple[object, ...]:
    return row["name"], row["identity"], _whose(row), _called(row)


def _network(row: Mapping[str, Any]) -> tuple[object, ...]:
    link = row["state"] + (f", {row['speed']} Mbit/s" if row["speed"] else "")
    return row["name"], link or "-", row["identity"], _whose(row), row["parent"] or "-"


def _disk(row: Mapping[str, Any]) -> tuple[object, ...]:
    size = "-" if row["size"] is None else as_size(row["size"])
    return row["name"], row["bus"] or "-", size, _whose(row), row["parent"] or "-", _called(row)


SHAPES = {"gpu": (PCI, _pci), "pci": (PCI, _pci), "usb": (USB, _usb), "network": (NETWORK, _network),
          "disk": (DISK, _disk)}  # fmt: skip


def _whose(row: Mapping[str, Any]) -> str:
    """Which guest has it, and which others get it at their next start."""
    gets = (f"{guest} (off)" for guest in row["gets"] if guest not in row["has"])
    return words((*row["has"], *gets))


def _called(row: Mapping[str, Any]) -> str:
    return f"{row['vendor']} {row['product']}".strip() or row["identity"]
