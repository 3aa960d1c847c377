"""The disks of a real Debian with systemd and cloud-init, made of packages. For what a small Linux only imitates.

Two disks, so that nothing has to be partitioned: a boot loader with the kernel, and the root file system.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import linux_guest

from tests.lab import sources, tree

PACKAGES = (
    "systemd-sysv", "systemd-resolved", "udev", "dbus", "cloud-init", "netplan.io", "openssh-server",
    "qemu-guest-agent", "linux-image-cloud-amd64", "initramfs-tools", "busybox", "iproute2", "sudo", "netbase",
    "e2fsprogs",
)  # fmt: skip
# Before the kernel comes: its initrd with every module takes minutes to read where the processor is emulated.
SMALL_INITRD = """\
mkdir -p "$1/etc/initramfs-tools/conf.d"
echo MODULES=list >"$1/etc/initramfs-tools/conf.d/small"
printf '%s\\n' virtio_pci virtio_blk ext4 >"$1/etc/initramfs-tools/modules"
"""
NO_LOCALES = """\
echo 'locale: false' >"$1/etc/cloud/cloud.cfg.d/90_no_locales.cfg"
"""
APPEND = "initrd=initrd root=/dev/vdb rw console=ttyS0 mitigations=off no_timer_check systemd.mask=apt-daily.timer"
SIZE = "1200M"
PROGRAMS = ("mmdebstrap", "syslinux", "mformat", "mcopy", "mke2fs", "qemu-img")
DEADLINE = 1500.0


def missing() -> str:
    """Why it cannot be made here, or ""."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=linux_guest.SBIN) is None]
    return f"the guest needs {', '.join(absent)}" if absent else ""


def make(place: Path) -> tuple[Path, Path]:
    """The qcow2 images of its boot disk and of its root, in the directory `place`. Takes minutes."""
    root = place / "cloud"
    hooks = (f"--essential-hook={SMALL_INITRD}", f"--customize-hook={NO_LOCALES}")
    options = [*hooks, *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in (
        "man", "locale", "doc", "info",
    ))]  # fmt: skip
    tree.make(str(root), sources.own_suite(), PACKAGES, options, DEADLINE)
    kernel = next(root.glob("boot/vmlinuz-*"))
    initrd = kernel.with_name(kernel.name.replace("vmlinuz", "initrd.img"))
    boot = linux_guest.boot_disk(place, "boot", kernel, initrd, APPEND)
    raw = place / "root.raw"
    run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(raw), SIZE)
    image = linux_guest.converted(raw)
    shutil.rmtree(root)
    return boot, image


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, env={"PATH": linux_guest.SBIN})
