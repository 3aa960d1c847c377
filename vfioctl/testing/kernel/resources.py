"""What a guest needs from its host besides PCI devices: memory, huge pages, network interfaces, USB devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.testing.kernel.nodes import Attribute, Constant, Directory, Link

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel

MEMORY = 64 << 20  # KiB
SIZES = (2048, 1048576)  # KiB
BRIDGES = ("br0", "virbr0")
USB = (("1-1", "046d", "c52b", 2), ("1-2", "1532", "0084", 3))  # name, vendor, product, device number


def fill_resources(kernel: Kernel) -> None:
    """Make what every machine has; what its spec sets comes later and replaces it."""
    _memory(kernel)
    node = kernel.sys.directory("devices/system/node/node0/hugepages")
    for size in SIZES:
        pool = kernel.sys.directory(f"kernel/mm/hugepages/hugepages-{size}kB")
        pages = Pages()
        pages.fill(pool)
        for name in ("resv", "nr_overcommit"):  # of the host alone: per_node_hstate_attrs in mm/hugetlb.c
            pool.add(f"{name}_hugepages", Constant("0"))
        pages.fill(node.directory(f"hugepages-{size}kB"))
    bridges = (link.name for link in kernel.spec.links if link.name.startswith(("br", "vmbr", "virbr")))
    for name in dict.fromkeys((*BRIDGES, *bridges)):
        _bridge(kernel, name)
    for name, vendor, product, number in USB:
        _usb(kernel, name, vendor, product, number)


def _memory(kernel: Kernel) -> None:
    rows = {"MemTotal": MEMORY, "MemFree": MEMORY // 2, "SwapTotal": 0, "CommitLimit": MEMORY // 2}
    lines = [f"{name + ':':<16}{value:>8} kB\n" for name, value in rows.items()]
    kernel.proc.add("meminfo", Constant("".join((*lines, "Hugepagesize:       2048 kB")).encode()))
    kernel.proc.directory("sys/vm").add("overcommit_memory", Constant("0"))


class Pages:
    """A pool of huge pages, empty at boot; what is written to nr_hugepages is free at once."""

    def __init__(self) -> None:
        self.count = 0

    def fill(self, directory: Directory) -> None:
        """Show the pool in `directory`."""
        directory.add("nr_hugepages", Attribute(self._show, self._store))
        directory.add("free_hugepages", Attribute(self._show))
        directory.add("surplus_hugepages", Constant("0"))

    def _show(self) -> str:
        return f"{self.count}\n"

    def _store(self, text: str) -> None:
        self.count = int(text)


def _bridge(kernel: Kernel, name: str) -> None:
    interface = kernel.sys.directory(f"devices/virtual/net/{name}")
    interface.directory("bridge").add("bridge_id", Constant("8000.000000000000"))
    kernel.sys.directory("class/net").add(name, Link(f"../../devices/virtual/net/{name}"))


def _usb(kernel: Kernel, name: str, vendor: str, product: str, number: int) -> None:
    device = kernel.sys.directory(f"devices/virtual/usb/{name}")
    for attribute, value in (("idVendor", vendor), ("idProduct", product), ("busnum", "1"), ("devnum", str(number))):
        device.add(attribute, Constant(value))
    kernel.sys.directory("bus/usb/devices").add(name, Link(f"../../../devices/virtual/usb/{name}"))
