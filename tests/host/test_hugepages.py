"""Huge pages: what a new guest can have, and where it can be used."""

from __future__ import annotations

import pytest

from vfioctl.host.hugepages import Pool, default_size, mounted, pool, sizes
from vfioctl.paths import Paths

MIB = 1 << 20
GIB = 1 << 30


@pytest.fixture
def tree(tmp_path):
    """Writes a file below the root."""

    def write(path: str, text: str) -> Paths:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return Paths(str(tmp_path))

    return write


def test_the_sizes_are_those_that_the_kernel_has(tree):
    tree("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0")
    paths = tree("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0")
    assert sizes(paths) == (2 * MIB, GIB)


def test_pages_of_several_nodes_are_added(tree):
    for node, free in (("0", "3"), ("2", "4")):
        base = f"sys/devices/system/node/node{node}/hugepages/hugepages-2048kB"
        tree(f"{base}/nr_hugepages", "5")
        paths = tree(f"{base}/free_hugepages", free)
    assert pool(paths, 2 * MIB, (0, 2)) == Pool(2 * MIB, 10, 7)


def test_a_pool_that_is_not_there_has_no_pages(tree):
    assert pool(tree("x", ""), GIB) == Pool(GIB, 0, 0)


@pytest.mark.parametrize(
    ("options", "size"), [("rw,pagesize=2M", 2 * MIB), ("rw,pagesize=1024M", GIB), ("rw,relatime", 2 * MIB)]
)
def test_a_mount_is_of_its_size_or_of_the_default(tree, options, size):
    tree("proc/meminfo", "Hugepagesize:       2048 kB\n")
    paths = tree("proc/self/mounts", f"none /proc proc rw 0 0\nnone /dev/hugepages hugetlbfs {options} 0 0\n")
    assert default_size(paths) == 2 * MIB
    assert mounted(paths) == {size}


def test_mounts_that_cannot_be_read_are_not_known(tree):
    assert mounted(tree("x", "")) is None
