"""The disk image of the lab machine: a Debian tree with what `debian/` adds, made once for each suite and cached."""

from __future__ import annotations

import functools
import glob
import os
import shutil
from collections.abc import Iterable

from tests.lab import commands, tree
from tests.lab.cache import Cache, contents, key
from tests.lab.errors import LabError
from tests.lab.sources import Archive

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "debian")
EXCLUDED = (
    "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/doc/*", "/usr/lib/cni/*",
    *(f"/lib/modules/*/kernel/{part}/*" for part in (
        "drivers/net/wireless", "drivers/net/ethernet", "drivers/media", "drivers/infiniband", "drivers/staging",
        "drivers/gpu/drm/amd", "drivers/gpu/drm/i915", "drivers/gpu/drm/nouveau", "drivers/gpu/drm/radeon",
        "drivers/iio", "drivers/scsi", "drivers/isdn", "drivers/bluetooth", "net/bluetooth", "net/wireless",
    )),
)  # fmt: skip
# Before the kernel comes: else its initrd is first made with every module, which takes half a minute.
SMALL_INITRD = 'mkdir -p "$1/etc/initramfs-tools/conf.d" && echo MODULES=list >"$1/etc/initramfs-tools/conf.d/lab"'
# Debian 12 has it in libvirt-daemon.
MORE = {"trixie": ("libvirt-daemon-driver-storage-logical",)}
SIZE = "4G"
GIB_NEEDED = 4.5
DEADLINE = 900.0


@functools.cache
def cached(cache: Cache, suite: str, patience: float) -> str:
    """The directory with disk.qcow2, vmlinuz, initrd.img, kernel-release and versions."""
    within = cache.place(suite)
    name = f"image-{image_key(archive(cache, suite))}"
    return cache.made(name, lambda part: build(part, suite, patience), needs_gib=GIB_NEEDED, within=within)


def archive(cache: Cache, suite: str) -> Archive:
    return Archive(suite, os.path.join(cache.place(suite), "apt"))


def image_key(packages_of: Archive) -> str:
    kernel = packages_of.show("linux-image-amd64")
    more, suite = MORE.get(packages_of.suite, ()), packages_of.suite
    return key(SIZE, suite, *EXCLUDED, *more, *contents(HERE), kernel["Version"], kernel["Depends"])


def packages(suite: str) -> list[str]:
    with open(os.path.join(HERE, "packages"), encoding="utf-8") as file:
        listed = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    return [*listed, *MORE.get(suite, ())]


def build(part: str, suite: str, patience: float) -> None:
    fill(part, suite, patience)
    root, log, raw = (os.path.join(part, name) for name in ("tree", "build.log", "disk.raw"))
    commands.run(["mke2fs", "-q", "-t", "ext4", "-d", root, raw, SIZE], log, DEADLINE * patience)
    commands.run(compressed(raw, os.path.join(part, "disk.qcow2")), log, DEADLINE * patience)
    keep_kernel(root, part)
    shutil.copy(os.path.join(root, "var/lib/dpkg/status"), os.path.join(part, "versions"))
    os.remove(raw)
    shutil.rmtree(root)


def fill(part: str, suite: str, patience: float, further: Iterable[str] = (), hooks: Iterable[str] = ()) -> None:
    """Make the lab's tree in the directory `part`, with `further` packages and options of mmdebstrap."""
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    options.append(f"--essential-hook={SMALL_INITRD}")
    options.append(f'--customize-hook={os.path.join(HERE, "prepare.sh")} "$1"')
    wanted = (*packages(suite), *further)
    tree.make(os.path.join(part, "tree"), suite, wanted, (*options, *hooks), DEADLINE * patience)


def compressed(raw: str, disk: str) -> list[str]:
    """What makes the image `disk` of the file `raw`."""
    return ["qemu-img", "convert", "-c", "-o", "compression_type=zstd", "-O", "qcow2", raw, disk]


def keep_kernel(tree: str, part: str) -> None:
    kernels = glob.glob(f"{tree}/boot/vmlinuz-*")
    if len(kernels) != 1:
        raise LabError(f"The tree of the lab has {len(kernels)} kernels.")
    release = os.path.basename(kernels[0]).removeprefix("vmlinuz-")
    shutil.copy(kernels[0], os.path.join(part, "vmlinuz"))
    shutil.copy(f"{tree}/boot/initrd.img-{release}", os.path.join(part, "initrd.img"))
    with open(os.path.join(part, "kernel-release"), "w", encoding="ascii") as file:
        file.write(release)
