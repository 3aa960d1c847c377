"""Option ROMs as files: a legacy image and one for UEFI, as most cards have, with whatever is wrong with them."""

from __future__ import annotations

import struct

UNIT, AT = 512, 0x40  # AT: where the PCIR structure lies
LEGACY, UEFI = 0, 3


def image(vendor: int, device: int, *, kind: int = LEGACY, last: bool = True, blocks: int = 2) -> bytes:
    """One image; the sum over a legacy one is 0."""
    data = bytearray(blocks * UNIT)
    data[:3] = b"\x55\xaa" + bytes([blocks])
    struct.pack_into("<H", data, 0x18, AT)
    struct.pack_into("<4sHHHHB3sHHBB", data, AT, b"PCIR", vendor, device, 0, 0x18, 0, b"\x00\x00\x03", blocks, 1, kind,
                     0x80 if last else 0)  # fmt: skip
    data[-1] = -sum(data) % 256
    return bytes(data)


def rom(vendor: int = 0x10DE, device: int = 0x2206) -> bytes:
    """A whole ROM for the card `vendor`:`device`."""
    return image(vendor, device, last=False) + image(vendor, device, kind=UEFI)
