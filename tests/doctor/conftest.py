"""A host of plain files on which nothing is in the way, for the tests to break."""

from __future__ import annotations

from pathlib import Path

import pytest
from host_tree import Tree

RELEASE = "6.1.0-56-amd64"
CARD, SOUND = "0000:01:00.0", "0000:01:00.1"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Two cards, an IOMMU, vfio-pci, UEFI firmware, QEMU and libvirt."""
    tree = Tree(tmp_path)
    tree.write("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vmx sse\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    tree.write("proc/cmdline", "root=/dev/vda1 quiet intel_iommu=on\n")
    tree.write("proc/sys/kernel/osrelease", f"{RELEASE}\n")
    tree.write("dev/kvm")
    tree.write("sys/class/iommu/dmar0/x")
    modules = f"lib/modules/{RELEASE}"
    tree.write(f"{modules}/modules.dep", "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/drivers/vfio/vfio.ko\n")
    tree.write(f"{modules}/modules.builtin", "kernel/drivers/pci/pcie/pcieport.ko\n")
    tree.write("usr/share/qemu/firmware/50-ovmf.json", '{"interface-types": ["uefi"]}')
    for name in ("i915", "nouveau"):
        tree.module(name, drivers=(name,))
    tree.program("qemu-system-x86_64", "echo 'QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)'")
    tree.program("libvirtd", "echo 'libvirtd (libvirt) 9.0.0'")
    tree.device("0000:00:02.0", driver="i915", group=0)
    tree.device(CARD, driver="nouveau", group=1)
    tree.device(SOUND, driver="snd_hda_intel", group=1, **{"class": "0x040300"})
    return tree
