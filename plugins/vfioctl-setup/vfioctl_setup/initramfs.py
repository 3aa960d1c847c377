"""The initramfs: what a module needs to be loaded from it, with initramfs-tools and with dracut. Reads only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl.plugin import FileEdit, Finding
from vfioctl_setup.loaders.model import BootChange, as_bytes, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.plugin import Host

MODULES = "/etc/initramfs-tools/modules"  # initramfs-tools(7)
DRACUT = "/etc/dracut.conf.d/vfioctl.conf"  # dracut.conf(5)
MODULE = "vfio_pci"
UPDATE = ("update-initramfs", "-u", "-k", "all")
REGENERATE = ("dracut", "--regenerate-all", "--force")
IMAGES = ("initrd", "initramfs")  # how their names begin in /boot
SPARE = 16 << 20  # bytes: a new image is written beside the one that it replaces


def with_vfio(host: Host, settings: str) -> BootChange:
    """What puts vfio-pci and its `settings` of modprobe.d into each initramfs; for other tools, what to do."""
    tools = programs(host)
    if UPDATE in tools:
        edit = FileEdit(MODULES, as_bytes(_listed(text_of(host, MODULES) or "")), "the initramfs is to load vfio-pci")
        return BootChange((edit,), tools)
    if REGENERATE in tools:
        reason = "the initramfs is to load vfio-pci"
        return BootChange((FileEdit(DRACUT, as_bytes(_drop_in(settings)), reason, own=True),), tools)
    if host.programs.find("mkinitcpio"):
        where = "/etc/mkinitcpio.conf, then: mkinitcpio -P"
        return BootChange(where=where, lines=(f"MODULES=({MODULE} …), before the driver of the card",))
    return BootChange(where="the settings of what makes your initramfs", lines=(f"load {MODULE} early",))


def programs(host: Host) -> tuple[tuple[str, ...], ...]:
    """What makes every initramfs anew here; nothing where that is done by another tool."""
    if host.programs.find("mkinitramfs") and host.programs.find(UPDATE[0]):
        return (UPDATE,)
    return (REGENERATE,) if host.programs.find(REGENERATE[0]) else ()


def room(host: Host) -> Iterator[Finding]:
    """What speaks against making images anew: /boot is too full for one more."""
    place = host.paths.at("boot")
    try:
        sizes = [os.lstat(os.path.join(place, name)).st_size for name in os.listdir(place) if name.startswith(IMAGES)]
        status = os.statvfs(place)
    except OSError:
        return  # who makes them says what is wrong with it
    free, needed = status.f_bavail * status.f_frsize, max(sizes, default=0) + SPARE
    if free < needed:
        yield Finding(
            "setup.no_room",
            f"/boot has {free >> 20} MiB left, and a new initramfs needs {needed >> 20} MiB while it is made.",
            hint="Remove kernels that nobody needs (Debian: apt autoremove), then ask once more.",
        )  # fmt: skip


def _drop_in(settings: str) -> str:
    """Dracut copies /etc/modprobe.d into an image for this host alone, not into one for any (90kernel-modules)."""
    lines = f'force_drivers+=" {MODULE} "\ninstall_optional_items+=" {settings} "\n'
    return f"# Made by `vfioctl setup`.\n{lines}"


def _listed(text: str) -> str:
    if MODULE in (line.split("#")[0].strip().replace("-", "_") for line in text.splitlines()):
        return text
    return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{MODULE}\n"
