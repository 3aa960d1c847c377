"""systemd-boot: one file for each entry, made by kernel-install(8) of /etc/kernel/cmdline, or by hand."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from vfioctl.plugin import FileEdit
from vfioctl_setup.loaders.model import TEXT, BootChange, Loader, as_bytes, seen, text_of
from vfioctl_setup.words import Words, without

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vfioctl.plugin import Host

PLACES = ("/efi", "/boot", "/boot/efi")  # bootctl(1), --esp-path
COMMAND_LINE = "/etc/kernel/cmdline"
OTHERS = "/usr/lib/kernel/cmdline"  # what kernel-install takes without the first, and then the running kernel's
OPTIONS = re.compile(r"^options\b[ \t]*(.*)$", re.MULTILINE)
VERSION = re.compile(r"^version[ \t]+(\S+)", re.MULTILINE)
NOT_KEPT = ("BOOT_IMAGE=", "initrd=")  # kernel-install, 90-loaderentry.install
COMMENT = re.compile(r"\s*#")  # a line that 90-loaderentry.install leaves out: in systemd 257 it does, in 252 not yet


def find(host: Host) -> Loader | None:
    """systemd-boot, where it lies on the ESP."""
    if not any(_lies_in(host, place) for place in PLACES):
        return None
    files = tuple(_files(host))
    texts = [seen(host, path) for path in files]
    entries = tuple(_words(text) for text in texts if text and "\nlinux" in f"\n{text}")
    return Loader("systemd-boot", "systemd-boot", entries or None, lambda host, words: _change(host, words, files))


def programs(host: Host) -> tuple[tuple[str, ...], ...]:
    """What makes the entries that kernel-install has made, each with the kernel that it has now."""
    return tuple(_programs(host, (path for path in _files(host) if _is_made(host, path))))


def of_running(host: Host) -> str | None:
    """What kernel-install takes of the running kernel without our file; None where it takes that of a package."""
    if text_of(host, OTHERS) is not None:
        return None
    words = (word for word in host.kernel_command_line().split() if not word.startswith(NOT_KEPT))
    return f"{' '.join(words)}\n"


def _lies_in(host: Host, place: str) -> bool:
    return any(name.lower().startswith("systemd-boot") for name in _names(host, f"{place}/EFI/systemd"))


def _files(host: Host) -> Iterator[str]:
    for place in PLACES:
        directory = f"{place}/loader/entries"
        yield from (f"{directory}/{name}" for name in _names(host, directory) if name.endswith(".conf"))


def _names(host: Host, directory: str) -> list[str]:
    try:
        return sorted(os.listdir(host.paths.at(directory)))
    except OSError:  # it is not there, or for root only, as an ESP often is
        return []


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for line in OPTIONS.findall(text) for word in line.split())


def _change(host: Host, words: Words, files: tuple[str, ...]) -> BootChange:
    made = [path for path in files if _is_made(host, path)]
    by_hand = not made and (files or text_of(host, COMMAND_LINE) is None)
    if by_hand or not host.programs.find("kernel-install"):
        return BootChange(tuple(_in_entries(host, words, files)))
    edits, programs = tuple(_in_command_line(host, words)), tuple(_programs(host, made))
    return BootChange(edits, programs) if programs else _unseen(edits)


def _unseen(edits: Iterable[FileEdit]) -> BootChange:
    """Without an entry nobody sees which kernels are to be installed anew, as where each is a unified image (UKI)."""
    texts = (f"write into {edit.path}: {edit.content.decode(*TEXT).strip()}" for edit in edits)
    lines = (line for text in texts for line in text.split("\n"))
    each = "then for each kernel: kernel-install add VERSION /boot/vmlinuz-VERSION"
    return BootChange(where="as root, since no entry of the boot menu is to be seen", lines=(*lines, each))


def _is_made(host: Host, path: str) -> bool:
    """Whether kernel-install has made the entry: its name begins with the machine's id (90-loaderentry.install)."""
    machine = (seen(host, "/etc/machine-id") or "").strip()
    token = (seen(host, "/etc/kernel/entry-token") or "").strip()
    name = os.path.basename(path)
    return any(start and name.startswith(f"{start}-") for start in (token, machine))


def _in_command_line(host: Host, words: Words) -> Iterator[FileEdit]:
    text = text_of(host, COMMAND_LINE)
    new = _with_words(_base(host) if text is None else text, words)
    if text is None or new.split() != text.split():
        said = of_running(host)
        stand_in = None if said is None else as_bytes(said)
        reason = "kernel-install takes the command line from there"
        yield FileEdit(COMMAND_LINE, as_bytes(new), reason, stand_in=stand_in)


def _with_words(text: str, words: Words) -> str:
    """The command line as it should be: comments stay lines of their own, and no word goes into one."""
    lines = text.rstrip("\n").split("\n") if text.strip() else []
    said = [number for number, line in enumerate(lines) if line.strip() and not COMMENT.match(line)]
    for number in said:
        lines[number] = without(lines[number], words.remove)
    there = {word for number in said for word in lines[number].split()}
    missing = " ".join(word for word in words.add if word not in there)
    if missing and said:
        lines[said[-1]] = f"{lines[said[-1]].rstrip()} {missing}".lstrip()
    elif missing:
        lines.append(missing)
    return "".join(f"{line}\n" for line in lines)


def _base(host: Host) -> str:
    """What kernel-install takes where nobody has said anything."""
    return of_running(host) or text_of(host, OTHERS) or ""


def _programs(host: Host, made: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Each kernel that has an entry, installed there once more."""
    versions = {name for path in made for name in VERSION.findall(seen(host, path) or "")}
    for version in sorted(versions):
        images = (f"/boot/vmlinuz-{version}", f"/lib/modules/{version}/vmlinuz", f"/usr/lib/modules/{version}/vmlinuz")
        if image := next((path for path in images if os.path.exists(host.paths.at(path))), ""):
            initrd = f"/boot/initrd.img-{version}"
            further = (initrd,) if os.path.exists(host.paths.at(initrd)) else ()
            yield ("kernel-install", "add", version, image, *further)


def _in_entries(host: Host, words: Words, files: Iterable[str]) -> Iterator[FileEdit]:
    for path in files:
        text = text_of(host, path) or ""
        if (new := _entry(text, words)) != text:
            yield FileEdit(path, as_bytes(new), "the entry of the boot menu has its command line there")


def _entry(text: str, words: Words) -> str:
    """An entry of Linux with its words as they should be; others are left alone."""
    if "\nlinux" not in f"\n{text}":
        return text
    new = OPTIONS.sub(lambda line: without(line[0], words.remove), text)
    missing = " ".join(word for word in words.add if word not in _words(new))
    if not missing:
        return new
    if OPTIONS.search(new):
        return OPTIONS.sub(lambda line: f"{line[0].rstrip()} {missing}", new, count=1)
    return f"{new}{'' if new.endswith(chr(10)) else chr(10)}options {missing}\n"
