"""The lab's disk with a boot loader of its own, as an installer leaves one: GPT, an ESP for the firmware, the root file
system. Made once for each suite and loader, and cached. Starts nothing."""

from __future__ import annotations

import os
import shutil

from tests.lab import commands, image
from tests.lab.cache import Cache, contents, key

PACKAGES = {
    "grub": ("grub-common", "grub2-common", "grub-efi-amd64-bin"),
    "systemd-boot": ("systemd-boot", "systemd-boot-efi"),
}
# What makes a loader's menu, on the machine itself; the first boot does without one, or has one made by hand. GRUB's
# environment is there as its installer leaves it: Debian 13 writes to it at each boot.
MENU = {
    "grub": "grub-editenv - create && update-grub",
    "systemd-boot": "v=$(uname -r) && kernel-install add $v /boot/vmlinuz-$v /boot/initrd.img-$v",
}
PROGRAMS = ("mmdebstrap", "mformat", "mcopy", "mke2fs", "sfdisk", "qemu-img", "qemu-system-x86_64")
FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"
# AppArmor is off as in the rest of the lab: libvirt loads its profile anew for each device, which on a busy computer
# took longer than the 120 s that the dead-man leaves to a start. Without a word Debian turns the IOMMU on
# (CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF): here somebody has turned it off.
WORDS = (
    "root=/dev/vda2 rw console=tty0 console=ttyS0 mitigations=off no_timer_check vt.global_cursor_default=0 quiet"
    " apparmor=0 intel_iommu=off"
)
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "loader")
FSTAB = "/dev/vda2 / ext4 defaults 0 0\n/dev/vda1 /efi vfat umask=0077 0 0\ntmpfs /lab tmpfs mode=755 0 0\n"
MIB = 1 << 20
ESP = 1, 256  # where it begins, and its size, in MiB
ROOT = 257, 4096
LAYOUT = f"""label: gpt
start={ESP[0]}MiB, size={ESP[1]}MiB, type=uefi, name=ESP
start={ROOT[0]}MiB, size={ROOT[1]}MiB, type=linux, name=root
"""
GIB_NEEDED = 4.5


def missing() -> str:
    """Why no such machine can be made here, or ""."""
    absent = [name for name in PROGRAMS if not shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")]
    absent += [path for path in (FIRMWARE, VARIABLES) if not os.path.exists(path)]
    return f"the machine needs {', '.join(absent)}" if absent else ""


def cached(cache: Cache, suite: str, loader: str, patience: float) -> str:
    """The directory with disk.qcow2."""
    shaped = key(image.image_key(image.archive(cache, suite)), *contents(__file__, HERE))
    make = lambda part: _build(part, suite, loader, patience)  # noqa: E731
    name = f"{loader.replace('-', '_')}-{shaped}"
    return cache.made(name, make, needs_gib=GIB_NEEDED, within=cache.place(suite))


def _build(part: str, suite: str, loader: str, patience: float) -> None:
    words = os.path.join(part, "words")
    with open(words, "w", encoding="ascii") as file:
        file.write(f"{WORDS}\n")
    hook = f'--customize-hook={HERE}/prepare "$1" {loader} {words} {_machine_id()}'
    image.fill(part, suite, patience, PACKAGES[loader], (hook,))
    tree = os.path.join(part, "tree")
    with open(f"{tree}/etc/fstab", "w", encoding="ascii") as file:
        file.write(FSTAB)
    os.makedirs(f"{tree}/etc/systemd/system.conf.d", exist_ok=True)
    shutil.copy(os.path.join(HERE, "slow.conf"), f"{tree}/etc/systemd/system.conf.d")
    _assemble(part, patience)
    shutil.rmtree(tree)


def _machine_id() -> str:
    with open(os.path.join(image.HERE, "root/etc/machine-id"), encoding="ascii") as file:
        return file.read().strip()


def _assemble(part: str, patience: float) -> None:
    """The tree as a disk; what the tree has in /esp becomes the firmware's partition."""
    tree, raw, layout, log = (os.path.join(part, name) for name in ("tree", "disk.raw", "layout", "build.log"))
    with open(layout, "w", encoding="ascii") as file:
        file.write(LAYOUT)
    with open(raw, "wb") as disk:
        disk.truncate((sum(ROOT) + 1) * MIB)
    esp, left = f"{raw}@@{ESP[0]}M", os.path.join(tree, "esp")
    files = [os.path.join(left, name) for name in sorted(os.listdir(left))]
    size = ["-h", "64", "-s", "32", "-T", str(ESP[1] * MIB // 512), "-H", str(ESP[0] * MIB // 512)]
    for argv in (
        ["sh", "-c", 'sfdisk --quiet "$1" <"$2"', "sh", raw, layout],
        ["mformat", "-i", esp, *size, "-F", "-v", "ESP", "::"],
        ["mcopy", "-s", "-i", esp, *files, "::"],
        ["rm", "-r", left],
        ["mke2fs", "-q", "-t", "ext4", "-d", tree, "-E", f"offset={ROOT[0] * MIB}", raw, f"{ROOT[1]}M"],
        image.compressed(raw, os.path.join(part, "disk.qcow2")),
    ):
        commands.run(argv, log, image.DEADLINE * patience)
    os.remove(raw)
