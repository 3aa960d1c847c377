"""Sizes as people write them, and bytes for people. A size without a unit is never guessed at. Pure."""

from __future__ import annotations

import re

from vfioctl.errors import Refused

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", re.ASCII)
UNITS = ("K", "M", "G", "T", "P")
LARGEST = (1 << 63) - 1  # bytes: what a file and libvirt can hold
STEP = 1024.0  # from one unit to the next
EXPECTED = "expected a number and a unit, as 512M, 20G or 1.5TiB"


def size(text: str) -> int:
    """The bytes that `text` names: "20G" and "20GiB" are 20 * 1024^3, "20GB" is 20 * 1000^3 as in libvirt.

    Raises Refused("size.malformed"), and "size.no_unit" for a bare number: it is MiB to some tools and KiB to others.
    """
    found = SIZE.fullmatch(text.strip())
    if not found:
        raise _malformed(text, EXPECTED)
    number, unit = found.groups()
    if not number.strip("0."):
        raise _malformed(text, "a size is larger than 0")
    if not unit:
        raise _no_unit(text.strip())
    factor = _factor(unit)
    if not factor:
        raise _malformed(text, f"its unit is {unit!r}; {EXPECTED}")
    from decimal import Decimal  # a completion and `as_size` need none

    exact = Decimal(number) * factor
    if exact != int(exact) or not 0 < exact <= LARGEST:
        raise _malformed(text, "it is no whole number of bytes above 0, or more than a disk can have")
    return int(exact)


def as_size(count: float) -> str:
    """`count` bytes for people: "512 KiB", "1.5 GiB"."""
    number, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < STEP:
            break
        number, unit = number / STEP, larger
    return f"{number:.0f} {unit}" if unit in ("B", "KiB") else f"{number:.1f} {unit}"


def _factor(unit: str) -> int:
    """Bytes in one `unit`, 0 for none: K and KiB are 1024, KB is 1000 (virScaleInteger in libvirt)."""
    letter, rest = unit[0].upper(), unit[1:].lower()
    if unit.upper() == "B":
        return 1
    if letter not in UNITS or rest not in ("", "b", "ib"):
        return 0
    return int((1000 if rest == "b" else 1024) ** (UNITS.index(letter) + 1))


def _malformed(text: str, why: str) -> Refused:
    return Refused("size.malformed", f"{text!r} is no size: {why}.", state="Nothing was changed.")


def _no_unit(number: str) -> Refused:
    return Refused(
        "size.no_unit", f"{number} has no unit: virt-install would read {number} MiB, virsh {number} KiB.",
        state="Nothing was changed.", hints=(f"Say which: {number}M, {number}K or {number}G",),
    )  # fmt: skip
