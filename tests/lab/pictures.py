"""Pictures of the screen: read, compared pixel by pixel, kept as PNG for people."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

POINTER = 32  # rows that a pointer has at most


@dataclass(frozen=True, slots=True)
class Picture:
    """Eight bits each of red, green, blue."""

    width: int
    height: int
    pixels: bytes


def read(path: str) -> Picture:
    """A binary PPM as QEMU writes it."""
    with open(path, "rb") as file:
        data = file.read()
    magic, width, height, depth = data.split(None, 4)[:4]
    if magic != b"P6" or depth != b"255":
        raise ValueError(f"{path} is no picture of QEMU's")
    size = int(width) * int(height) * 3
    return Picture(int(width), int(height), data[-size:])


def difference(one: Picture, other: Picture) -> str:
    """ "" when they are equal, else where they are not."""
    if (one.width, one.height) != (other.width, other.height):
        return f"{one.width}x{one.height} became {other.width}x{other.height}"
    if one.pixels == other.pixels:
        return ""
    rows = [row for row in range(one.height) if _row(one, row) != _row(other, row)]
    return f"{len(rows)} rows of {one.height} differ, from {rows[0]} to {rows[-1]}"


def is_empty(picture: Picture) -> bool:
    """Whether all of it is of one kind, a pointer aside."""
    first = _row(picture, 0)
    return sum(_row(picture, row) != first for row in range(1, picture.height)) <= POINTER


def _row(picture: Picture, row: int) -> bytes:
    stride = picture.width * 3
    return picture.pixels[row * stride : (row + 1) * stride]


def png(picture: Picture) -> bytes:
    """The same, for a viewer."""
    rows = b"".join(b"\0" + _row(picture, row) for row in range(picture.height))
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
