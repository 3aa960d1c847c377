"""Huge pages: how many a new guest can have, on the host or on its NUMA nodes, and what is mounted. Reads only.

Source: Documentation/admin-guide/mm/hugetlbpage.rst of Linux.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from vfioctl.frozen import frozen
from vfioctl.host.memory import meminfo
from vfioctl.host.readers import entries, number, table
from vfioctl.paths import Paths

POOLS = "sys/kernel/mm/hugepages"
POOL = re.compile(r"hugepages-(\d+)kB")
MOUNTS_SIZE = 1 << 22
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@frozen
class Pool:
    """The pages of one size: `total` are in the pool, `available` can be had now, beyond it too where allowed."""

    page: int
    total: int
    available: int


def default_size(paths: Paths) -> int | None:
    """The size of a page when nothing else is said; None when the kernel has none."""
    return meminfo(paths).get("Hugepagesize")


def sizes(paths: Paths) -> tuple[int, ...]:
    """The sizes that this kernel has, in bytes; none when it does not say."""
    found = (POOL.fullmatch(name) for name in entries(paths.at(POOLS)))
    return tuple(sorted(int(name[1]) << 10 for name in found if name))


def pool(paths: Paths, page: int, nodes: Iterable[int] = ()) -> Pool:
    """The pool of pages of `page` bytes: the host's, or that of `nodes` together.

    What may be added to the pool, and what is promised, the kernel counts for the host alone: any node may get it.
    """
    name = f"hugepages-{page >> 10}kB"
    host = paths.at(POOLS, name)
    places = [paths.at(f"sys/devices/system/node/node{node}/hugepages/{name}") for node in nodes] or [host]
    free = sum(max(0, _count(place, "free") - _count(place, "resv")) for place in places)
    more = max(0, _count(host, "nr_overcommit") - _count(host, "surplus"))
    return Pool(page, sum(_count(place, "nr") for place in places), free + more)


def _count(pool: str, name: str) -> int:
    return number(os.path.join(pool, f"{name}_hugepages")) or 0


def mounted(paths: Paths) -> frozenset[int] | None:
    """The page sizes of the hugetlbfs mounts that this process sees, libvirtd's in a hook; None when it is unknown."""
    mounts = table(os.path.join(paths.proc, "self", "mounts"), MOUNTS_SIZE)
    if mounts is None:
        return None
    rows = (line.split() for line in mounts.decode("utf-8", "replace").splitlines())
    options = [row[3] for row in rows if len(row) > 3 and row[2] == "hugetlbfs"]  # noqa: PLR2004 -- fstab(5)
    found = (_mounted_size(option) or default_size(paths) for option in options)
    return frozenset(size for size in found if size)


def _mounted_size(options: str) -> int | None:
    """The page size in "rw,relatime,pagesize=2M"."""
    for option in options.split(","):
        key, _, value = option.partition("=")
        if key == "pagesize" and value[:-1].isdigit():
            return int(value[:-1]) * UNITS.get(value[-1].upper(), 1)
    return None
