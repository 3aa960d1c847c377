"""Whether a file is an option ROM for a card: header, PCIR structure, checksum (PCI Firmware Specification 3.0, §5).

Reads the file and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vfioctl import files
from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.errors import Refused
from vfioctl.frozen import frozen
from vfioctl.host.qemu_access import against_reading
from vfioctl.shell import word

if TYPE_CHECKING:
    from vfioctl.host.model import PciDevice
    from vfioctl.paths import Paths

MAGIC, PCIR = b"\x55\xaa", b"PCIR"
UNIT = 512  # bytes; an image is so many of them long
POINTER = 0x18  # where the header says where the PCIR structure is
PCIR_SIZE = 0x18
LEGACY, LAST = 0, 0x80  # a code type, and the bit of the last image
LARGEST = 16 << 20  # bytes; the ROM of a card is a flash of 0.5 to 2 MiB


@frozen
class Image:
    """One image of a ROM: where it begins, its size in bytes, and what its PCIR structure says."""

    start: int
    size: int
    vendor: int
    device: int
    others: tuple[int, ...]  # further devices that it is for
    kind: int  # 0: for a PC's BIOS, 3: for UEFI
    is_last: bool


def check_rom(paths: Paths, path: str, card: PciDevice) -> tuple[Image, ...]:
    """The images of the ROM in the file `path`, which is one for `card` and open to QEMU. Raises Refused("rom.*")."""
    if not path.startswith("/"):
        raise _refused("rom.unreadable", f"{path} is no absolute path, and QEMU runs in another directory.", ABSOLUTE)
    data = _content(paths.at(path), path)
    images = _checked(path, data, card)
    if why := against_reading(paths, path):
        hint = f"Put it where every guest may read it: install -D -m 644 {word(path)} {word(_open_place(path))}"
        raise _refused("rom.closed", f"QEMU cannot read {path}: {why}.", hint)
    return images


def _open_place(path: str) -> str:
    return os.path.join("/usr/share/vgabios", os.path.basename(path))


def _checked(path: str, data: bytes, card: PciDevice) -> tuple[Image, ...]:
    if not data.startswith(MAGIC):
        raise _refused("rom.header", f"{path} does not begin as an option ROM does (55 AA).", _begins_later(path, data))
    if len(data) % UNIT:
        raise _refused("rom.size", f"{path} has {len(data)} bytes, and a ROM has whole blocks of {UNIT}.", AGAIN)
    images = tuple(_images(path, data))
    if not any(_is_for(image, card) for image in images):
        made_for = ", ".join(f"{one.vendor:04x}:{one.device:04x}" for one in images)
        said = f"{path} is a ROM for {made_for}, and {card.address} is {card.vendor:04x}:{card.device:04x}."
        raise _refused("rom.other_card", said, "Take the ROM of this very card.")
    for image in images:
        if image.kind == LEGACY and sum(data[image.start : image.start + image.size]) % 256:
            raise _refused("rom.checksum", f"The checksum of the ROM in {path} is wrong.", AGAIN)
    return images


ABSOLUTE = "Name the whole path, from / on."
AGAIN = "It is cut off or damaged: save it from the card once more."


def _content(place: str, path: str) -> bytes:
    try:
        return files.read_bytes(place, follow=True, limit=LARGEST)
    except OSError as error:
        said = f"{path} cannot be read: {(error.strerror or str(error)).rstrip('.')}."
        raise _refused("rom.unreadable", said, "Name a file on this host that holds the ROM of the card.") from error


def _begins_later(path: str, data: bytes) -> str:
    """Tools for flashing save a header of their own before the ROM, which the card does not show to a guest."""
    for start in range(UNIT, len(data), UNIT):
        if data.startswith(MAGIC, start) and _structure(data, start):
            cut = f"{os.path.splitext(path)[0]}-cut.rom"
            command = f"tail -c +{start + 1} {word(path)} > {word(cut)}"
            return f"One begins at byte {start}. Cut off what is before: {command}"
    return "Save it from the card, or take the file for this very card from its maker."


def _structure(data: bytes, start: int) -> bytes:
    """The PCIR structure of the image at `start`; empty where there is none."""
    at = start + int.from_bytes(data[start + POINTER : start + POINTER + 2], "little")
    found = data[at : at + PCIR_SIZE]
    return found if found.startswith(PCIR) and len(found) == PCIR_SIZE else b""


def _images(path: str, data: bytes) -> Iterator[Image]:
    start = 0
    while True:
        image = _image(data, start)
        if image is None:
            said = f"The image at byte {start} of {path} has no PCIR structure, or reaches over the end of the file."
            raise _refused("rom.structure", said, AGAIN)
        yield image
        if image.is_last:
            return
        start += image.size


def _image(data: bytes, start: int) -> Image | None:
    found = _structure(data, start)
    size = _number(found, 0x10) * UNIT
    if not data.startswith(MAGIC, start) or not found or not size or start + size > len(data):
        return None
    at = start + int.from_bytes(data[start + POINTER : start + POINTER + 2], "little")
    listed = _number(found, 0x08)
    others = tuple(_listed(data, at + listed)) if listed else ()
    return Image(start, size, _number(found, 4), _number(found, 6), others, found[0x14], bool(found[0x15] & LAST))


def _listed(data: bytes, at: int) -> Iterator[int]:
    """The device list, which 0 ends."""
    while (device := _number(data, at)) and at < len(data):
        yield device
        at += 2


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _is_for(image: Image, card: PciDevice) -> bool:
    return image.vendor == card.vendor and card.device in (image.device, *image.others)


def _refused(code: str, said: str, hint: str) -> Refused:
    return Refused(code, said, state=NOTHING_CHANGED, hints=(hint,))
