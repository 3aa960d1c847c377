"""A picture of a guest's screen as PNG, whatever libvirt gives: PNG (QEMU 7.1 and later), or PPM. Pure."""

from __future__ import annotations

import re
import struct
import zlib
from xml.etree import ElementTree as ET

from vfioctl.plugin import VfioctlError

PNG = b"\x89PNG\r\n\x1a\n"
PPM = re.compile(rb"P6\s+(\d+)\s+(\d+)\s+255\s", re.ASCII)
DEPTH, COLOURS, RGB = 8, 2, 3  # bits a sample, colour type "truecolour", bytes a pixel (PNG specification, IHDR)


def as_png(data: bytes, mime: str) -> bytes:
    """`data`, which is of the type `mime`, as PNG. Raises VfioctlError("guest.no_picture")."""
    if data.startswith(PNG):
        return data
    found = PPM.match(data)
    if found is None:
        raise VfioctlError("guest.no_picture", f"libvirt gave a picture that is neither PNG nor PPM: {mime}.")
    width, height = int(found[1]), int(found[2])
    pixels = data[found.end():]
    if len(pixels) < width * height * RGB:
        raise VfioctlError("guest.no_picture", "libvirt gave a picture that ends in the middle.")
    return _png(width, height, pixels)


def screens(xml: str) -> int:
    """How many displays the guest has: each of its video cards has one or more (formatdomain, "Video devices")."""
    models = ET.fromstring(xml).iterfind("devices/video/model")
    return sum(int(one.get("heads", "1")) for one in models if one.get("type") != "none")


def _png(width: int, height: int, pixels: bytes) -> bytes:
    """Each row after a filter byte, 0 for none."""
    row = width * RGB
    lines = b"".join(b"\0" + pixels[start:start + row] for start in range(0, height * row, row))
    head = struct.pack(">IIBBBBB", width, height, DEPTH, COLOURS, 0, 0, 0)
    return PNG + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(lines)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
