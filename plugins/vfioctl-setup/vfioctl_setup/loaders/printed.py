"""Boot loaders whose settings are not changed from here: what to type or write, and where."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl_setup.loaders import grub
from vfioctl_setup.loaders.model import BootChange, Loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vfioctl.plugin import Host
    from vfioctl_setup.words import Words

UNKNOWN = "unknown"
LIMINE = ("/boot/limine.conf", "/boot/limine/limine.conf", "/boot/EFI/limine/limine.conf", "/efi/limine.conf")
EXTLINUX = ("/boot/extlinux/extlinux.conf", "/boot/syslinux/syslinux.cfg", "/extlinux.conf")


def find(host: Host) -> Iterator[Loader]:
    """Every one that is there, those that rule others first."""
    for name, title, is_there, lines in KNOWN:
        if is_there(host):
            yield Loader(name, title, (tuple(host.kernel_command_line().split()),), lines)


def unknown() -> Loader:
    """What is said where nobody knows the boot loader."""
    return Loader(UNKNOWN, "a boot loader that vfioctl does not know", None, _unknown)


def _any(*files: str) -> Callable[[Host], bool]:
    return lambda host: any(os.path.lexists(host.paths.at(path)) for path in files)


def _nixos(_host: Host, words: Words) -> BootChange:
    listed = " ".join(f'"{word}"' for word in words.add)
    lines = (f"boot.kernelParams = [ {listed} ];",) if words.add else ()
    return BootChange(
        where="/etc/nixos/configuration.nix, then: nixos-rebuild boot", lines=(*lines, *_without(words))
    )


def _ostree(_host: Host, words: Words) -> BootChange:
    options = [f"--append-if-missing={word}" for word in words.add]
    options += [f"--delete-if-present={word}" for word in words.remove]
    return BootChange(where="type as root", lines=(f"rpm-ostree kargs {' '.join(options)}",))


def _kernelstub(_host: Host, words: Words) -> BootChange:
    lines = []
    if words.add:
        lines.append(f'kernelstub --add-options "{" ".join(words.add)}"')
    if words.remove:
        lines.append(f'kernelstub --delete-options "{" ".join(words.remove)}"')
    return BootChange(where="type as root", lines=tuple(lines))


def _grubby(_host: Host, words: Words) -> BootChange:
    options = [f'--args="{" ".join(words.add)}"'] if words.add else []
    options += [f'--remove-args="{" ".join(words.remove)}"'] if words.remove else []
    return BootChange(where="type as root", lines=(f"grubby --update-kernel=ALL {' '.join(options)}",))


def _limine(host: Host, words: Words) -> BootChange:
    file = next(path for path in LIMINE if os.path.lexists(host.paths.at(path)))
    lines = (f"cmdline: … {' '.join(words.add)}",) if words.add else ()
    return BootChange(where=f"{file}, at the end of the line cmdline: of each entry", lines=(*lines, *_without(words)))


def _extlinux(host: Host, words: Words) -> BootChange:
    file = next(path for path in EXTLINUX if os.path.lexists(host.paths.at(path)))
    lines = (f"APPEND … {' '.join(words.add)}",) if words.add else ()
    return BootChange(where=f"{file}, at the end of the line APPEND of each entry", lines=(*lines, *_without(words)))


def _unknown(_host: Host, words: Words) -> BootChange:
    lines = (" ".join(words.add),) if words.add else ()
    return BootChange(
        where="the kernel's command line, in the settings of your boot loader", lines=(*lines, *_without(words))
    )


def _without(words: Words) -> tuple[str, ...]:
    return (f"{'and ' if words.add else ''}without: {' '.join(words.remove)}",) if words.remove else ()


KNOWN = (
    ("nixos", "NixOS", _any("/etc/NIXOS"), _nixos),
    ("rpm-ostree", "rpm-ostree", lambda host: bool(host.programs.find("rpm-ostree")), _ostree),
    ("kernelstub", "kernelstub", _any("/etc/kernelstub/configuration"), _kernelstub),
    ("grubby", "GRUB with an entry in a file each", grub.uses_loader_files, _grubby),
    ("limine", "Limine", _any(*LIMINE), _limine),
    ("extlinux", "extlinux", _any(*EXTLINUX), _extlinux),
)
RULING = ("nixos", "rpm-ostree", "kernelstub", "grubby")  # they write what others read: those alone count
