"""Which boot loader starts this host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import Refused, read_bytes
from vfioctl_setup.loaders import grub, printed, systemd_boot

if TYPE_CHECKING:
    from vfioctl.plugin import Host
    from vfioctl_setup.loaders.model import Loader

NAMES = ("grub", "systemd-boot", *(row[0] for row in printed.KNOWN))
# What the boot loader said of itself in UTF-16 (systemd, Boot Loader Interface)
SAID = "/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


def find(host: Host, name: str = "") -> Loader:
    """The boot loader of this host, or the one that is called `name`.

    Raises Refused: "setup.boot_loader_missing" where that one is not there, "setup.boot_loader_unclear" where several
    are and nothing says which one counts, or where the firmware knows of another than those that are found.
    """
    there = candidates(host)
    if name:
        chosen = [one for one in there if one.name == name]
        if not chosen:
            raise _refusal("setup.boot_loader_missing", f"{name} is not on this host", there)
        return chosen[0]
    if ruling := [one for one in there if one.name in printed.RULING]:
        return ruling[0]
    if not there:
        return printed.unknown()
    if said := _said(host):
        return _named(said, there)
    if len(there) > 1:
        raise _refusal("setup.boot_loader_unclear", "Nothing says which boot loader starts this host", there)
    return there[0]


def candidates(host: Host) -> tuple[Loader, ...]:
    """Every boot loader that is found."""
    return tuple(one for one in (*printed.find(host), grub.find(host), systemd_boot.find(host)) if one)


def _said(host: Host) -> str:
    """How the loader that started this host called itself: "systemd-boot 257.9", "GRUB 2.12", "rEFInd 0.14.2".

    "" where it did not: GRUB does so from 2.12 on, with its module bli (GRUB manual, "bli"), and older ones never.
    """
    try:
        return read_bytes(host.paths.at(SAID), foreign=True)[4:].decode("utf-16-le", "replace").strip("\0 ")
    except OSError:
        return ""


def _named(said: str, there: tuple[Loader, ...]) -> Loader:
    """The one of these that called itself so. Another may have started one of them in turn, which nobody sees."""
    found = next((one for one in there if said.lower().startswith(one.name)), None)
    if found is None:
        why = f"The firmware was told that {said} started this host, whose files are not to be seen"
        raise _refusal("setup.boot_loader_unclear", why, there)
    return found


def _refusal(code: str, why: str, there: tuple[Loader, ...]) -> Refused:
    names = ", ".join(one.name for one in there) or "none that vfioctl knows"
    return Refused(
        code, f"{why}; found: {names}.", state="Nothing was changed.",
        hints=tuple(f"Choose it with: vfioctl setup --boot-loader {one.name}" for one in there),
    )  # fmt: skip
