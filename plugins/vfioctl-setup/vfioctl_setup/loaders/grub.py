"""GRUB: settings in /etc/default/grub, of which a program makes grub.cfg (GRUB manual, "Simple configuration").

Debian's grub-mkconfig reads /etc/default/grub.d/*.cfg as well, so that nobody's file is touched there to add a word.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from vfioctl.plugin import FileEdit
from vfioctl_setup.loaders.model import BootChange, Loader, as_bytes, seen, text_of
from vfioctl_setup.words import Words, without

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.plugin import Host

SETTINGS = "/etc/default/grub"
DIRECTORY = "/etc/default/grub.d"
OWN = f"{DIRECTORY}/zz-vfioctl.cfg"  # behind the others: some of them set the line anew
MENUS = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
PROGRAMS = ("grub-mkconfig", "grub2-mkconfig")
HEAD = "# Made by `vfioctl setup`; it goes with `vfioctl setup --undo`.\n"
LINE = re.compile(r"^\s*(?:export\s+)?GRUB_CMDLINE_LINUX\w*\+?=")
ENTRY = re.compile(r"^\s*linux(?:16|efi)?\s+(\S+)\s+(.*)$", re.MULTILINE)
# What grub-mkconfig has of the script that lists this system's own kernels: 10_linux, 10_linux_zfs, 20_linux_xen.
MADE = re.compile(r"^### BEGIN (\S*/[12]0_linux\w*) ###$(.*?)^### END \1 ###$", re.MULTILINE | re.DOTALL)
ASSIGNED = re.compile(r'^GRUB_CMDLINE_LINUX="\$GRUB_CMDLINE_LINUX (.*)"$', re.MULTILINE)


def find(host: Host) -> Loader | None:
    """GRUB, where its settings, its program and its menu are there."""
    menu = _menu(host)
    if not menu or not os.path.lexists(host.paths.at(SETTINGS)) or not any(map(host.programs.find, PROGRAMS)):
        return None
    return Loader("grub", "GRUB", _entries(seen(host, menu)), lambda host, words: _change(host, words, menu))


def programs(host: Host) -> tuple[tuple[str, ...], ...]:
    """What makes the menu that is there, with what is installed now; nothing where either is gone."""
    menu = _menu(host)
    return (_program(host, menu),) if menu and any(map(host.programs.find, PROGRAMS)) else ()


def uses_loader_files(host: Host) -> bool:
    """Whether the entries lie in files of their own, which grubby alone knows to change (Fedora's BLS)."""
    settings = seen(host, SETTINGS) or ""
    return "GRUB_ENABLE_BLSCFG=true" in settings.splitlines() and host.programs.find("grubby") is not None


def _menu(host: Host) -> str:
    return next((path for path in MENUS if os.path.lexists(host.paths.at(path))), "")


def _entries(menu: str | None) -> tuple[tuple[str, ...], ...] | None:
    """The words of each Linux of this system in the menu; a memory test is none.

    Others that os-prober or 40_custom put there have words of their own; without marks nobody can tell them apart.
    """
    if menu is None:
        return None
    texts = [text for _, text in MADE.findall(menu)] or [menu]
    found = (entry for text in texts for entry in ENTRY.findall(text))
    return tuple(tuple(words.split()) for image, words in found if "memtest" not in image)


def _change(host: Host, words: Words, menu: str) -> BootChange:
    edits = tuple(_edits(host, words))
    return BootChange(edits, (_program(host, menu),) if edits else ())


def _edits(host: Host, words: Words) -> Iterator[FileEdit]:
    drop_in = _reads_directory(host)
    for path in _files(host):
        text = text_of(host, path) or ""
        lines = text.splitlines(keepends=True)
        new = "".join(without(line, words.remove) if LINE.match(line) else line for line in lines)
        if path == SETTINGS and not drop_in and words.add:
            new = _appended(new, words)
        if new != text:
            yield FileEdit(path, as_bytes(new), "the kernel's command line is set there")
    if drop_in and (text := _own(host, words)):
        yield FileEdit(OWN, as_bytes(text), "these words are to stand on the kernel's command line", own=True)


def _files(host: Host) -> Iterator[str]:
    yield SETTINGS
    if _reads_directory(host):
        names = sorted(os.listdir(host.paths.at(DIRECTORY)))
        yield from (f"{DIRECTORY}/{name}" for name in names if name.endswith(".cfg") and f"{DIRECTORY}/{name}" != OWN)


def _reads_directory(host: Host) -> bool:
    """Whether the program reads the directory: that of Debian does, upstream's does not."""
    program = next(filter(None, map(host.programs.find, PROGRAMS)), "")
    inside = f"/{os.path.relpath(program, host.paths.root)}" if program else ""
    return os.path.isdir(host.paths.at(DIRECTORY)) and "/default/grub.d" in (seen(host, inside) or "")


def _own(host: Host, words: Words) -> str:
    """Our file with what it says already and what is to be added; "" where it is not there and need not be."""
    text = text_of(host, OWN)
    said = [word for line in ASSIGNED.findall(text or "") for word in line.split()]
    all_words = words.apply(said)
    if not all_words:
        return "" if text is None else HEAD
    return f'{HEAD}GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {" ".join(all_words)}"\n'


def _appended(text: str, words: Words) -> str:
    """The settings with a line behind them: the file is a program of the shell, and the last word counts."""
    said = [word for line in ASSIGNED.findall(text) for word in line.split()]
    new = " ".join(word for word in words.add if word not in said)
    end = "" if text.endswith("\n") or not text else "\n"
    return f'{text}{end}{HEAD}GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {new}"\n' if new else text


def _program(host: Host, menu: str) -> tuple[str, ...]:
    if menu == MENUS[0] and host.programs.find("update-grub"):
        return ("update-grub",)
    name = next(name for name in PROGRAMS if host.programs.find(name))
    return (name, "-o", menu)
