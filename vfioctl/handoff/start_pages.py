"""Whether the host has the huge pages of a guest. Reads only."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vfioctl.events.model import Share
from vfioctl.handoff.start_model import Start
from vfioctl.host import hugepages, memory
from vfioctl.plugin.types import Finding
from vfioctl.txn.kind import kind

MIB = 1 << 20
# What a step may write to make pages: the host's pool by size, a node's, or the host's default.
POOL_FILE = re.compile(r"/sys/kernel/mm/hugepages/hugepages-(\d+)kB/nr_hugepages(?:_mempolicy)?")
NODE_FILE = re.compile(r"/sys/devices/system/node/node(\d+)/hugepages/hugepages-(\d+)kB/nr_hugepages")
DEFAULT_FILES = ("/proc/sys/vm/nr_hugepages", "/proc/sys/vm/nr_hugepages_mempolicy")


def look(start: Start) -> Iterator[Finding]:
    """What is too little, or cannot be used."""
    sizes = hugepages.sizes(start.paths)
    if not sizes:
        return  # a kernel that does not say
    default = hugepages.default_size(start.paths) or sizes[0]
    mounted, there = _mounted(start), memory.nodes(start.paths)
    named = default if not mounted or default in mounted else min(mounted)  # virFileGetDefaultHugepage
    needed: dict[int, dict[tuple[int, ...], int]] = {}  # size → nodes of the host → pages
    for share in start.needs.memory:
        if share.page is not None:
            page, nodes = share.page or named, _shown(share.nodes, there)
            counts = needed.setdefault(page, {})
            counts[nodes] = counts.get(nodes, 0) + -(-share.bytes // page)
    for page, counts in needed.items():
        if page not in sizes or (mounted is not None and page not in mounted):
            yield _unmounted(start, page, exists=page in sizes)
        else:
            yield from _lacking(start, page, counts, default)


def _mounted(start: Start) -> frozenset[int] | None:
    """The sizes that are mounted; None where that is unknown or does not count, as for a memfd of a named size."""
    shares = (share for share in start.needs.memory if share.page is not None)
    return None if all(share.memfd and share.page for share in shares) else hugepages.mounted(start.paths)


def _lacking(start: Start, page: int, counts: dict[tuple[int, ...], int], default: int) -> list[Finding]:
    """What is too little on the nodes that memory is bound to; where that suffices, on the host for all of it."""
    shares = (Share(count * page, page, nodes) for nodes, count in counts.items())
    found = [finding for share in shares for finding in _too_few(start, share, default)]
    return found or list(_too_few(start, Share(sum(counts.values()) * page, page), default))


def _shown(nodes: tuple[int, ...], there: frozenset[int]) -> tuple[int, ...]:
    """`nodes` without those that this host does not have, which start_host.py names; the first if none is there."""
    return tuple(node for node in nodes if node in there) or nodes[:1]


def _made(start: Start, page: int, nodes: tuple[int, ...], default: int) -> int:
    """The pages that steps of the plan add; those of the host's pool may come from any node."""
    added = 0
    for step in start.steps:
        node, size = _written(next(iter(kind(step.kind).makes(step.params)), ""), default)
        value = str(step.params.get("value", ""))
        if size == page and value.isdigit() and (node is None or not nodes or node in nodes):
            there = hugepages.pool(start.paths, page, () if node is None else (node,)).total
            added += int(value) - there
    return added


def _written(path: str, default: int) -> tuple[int | None, int]:
    """(node, size) of the pool whose length the file `path` is; size 0: none."""
    if path in DEFAULT_FILES:
        return None, default
    if found := POOL_FILE.fullmatch(path):
        return None, int(found[1]) << 10
    found = NODE_FILE.fullmatch(path)
    return (int(found[1]), int(found[2]) << 10) if found else (None, 0)


def _too_few(start: Start, share: Share, default: int) -> Iterator[Finding]:
    page = share.page or 1
    count = share.bytes // page
    available = hugepages.pool(start.paths, page, share.nodes).available + _made(start, page, share.nodes, default)
    if count <= available:
        return
    where = f" on NUMA node {', '.join(map(str, share.nodes))}" if share.nodes else ""
    yield Finding(
        "start.hugepages",
        f"The guest needs {count} huge pages of {_size(page)}{where}, and {max(0, available)} are free.",
        hint=f"Make {count - available} more with: {_command(start, share, count - available)}",
    )


def _command(start: Start, share: Share, missing: int) -> str:
    page = share.page or 1
    node = share.nodes[0] if share.nodes else None
    base = "/sys/kernel/mm" if node is None else f"/sys/devices/system/node/node{node}"
    there = hugepages.pool(start.paths, page, () if node is None else (node,)).total
    return f"echo {there + missing} > {base}/hugepages/hugepages-{page >> 10}kB/nr_hugepages"


def _unmounted(start: Start, page: int, *, exists: bool) -> Finding:
    if not exists:
        return Finding(
            "start.hugepages", f"The guest needs huge pages of {_size(page)}, which this kernel does not have.",
            hint=start.edit("Name another size in <hugepages>"),
        )  # fmt: skip
    word = _size(page).replace(" ", "").removesuffix("iB")  # "1G"
    place = f"/dev/hugepages{word}"
    return Finding(
        "start.hugepages_unmounted",
        f"The guest needs huge pages of {_size(page)}, and no hugetlbfs of that size is mounted for libvirt to use.",
        hint="Mount one, then restart the daemon of libvirt, with: "
        f"mkdir -p {place} && mount -t hugetlbfs -o pagesize={word} hugetlbfs {place}",
    )


def _size(page: int) -> str:
    return f"{page >> 30} GiB" if page >= 1 << 30 else f"{page >> 20} MiB" if page >= MIB else f"{page >> 10} KiB"
