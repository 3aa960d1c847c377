"""The numbers of a domain XML, read as libvirt reads them. Knows no element's meaning."""

from __future__ import annotations

from vfioctl.events.element import Element, malformed

PREFIXES = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}


def short(text: str) -> str:
    """`text` as far as it fits a sentence."""
    return text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 -- what fits a sentence


def unsigned(text: str, element: Element, limit: int, what: str) -> int:
    """`text` as C reads a number with base 0, which is how libvirt reads it. Raises Refused(domain.malformed)."""
    lower = text.strip().lower()
    base = 16 if lower.startswith("0x") else 8 if lower.startswith("0") and lower != "0" else 10
    try:
        if not lower.isascii() or not lower.isalnum():
            raise ValueError(lower)
        value = int(lower, base)
    except ValueError:
        raise malformed(element.line, f"{what} is {short(text)!r}, not a number") from None
    if value > limit:
        raise malformed(element.line, f"{what} is {short(text)}, more than {limit}")
    return value


def size(text: str, unit: str | None, element: Element) -> int:
    """`text` times `unit` (KiB when it is None) in bytes. Raises Refused(domain.malformed)."""
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 20:  # noqa: PLR2004 -- digits of 2^64
        raise malformed(element.line, f"<{element.name}> is {short(digits)!r}, not a number")
    return int(digits) * _factor(unit or "KiB", element)


def _factor(unit: str, element: Element) -> int:
    """Bytes in one `unit`: "KiB" and "k" are 1024, "KB" is 1000 (virScaleInteger in libvirt)."""
    lower = unit.strip().lower()
    if lower in ("b", "byte", "bytes"):
        return 1
    power = PREFIXES.get(lower[:1])
    if power is None or lower[1:] not in ("", "b", "ib"):
        raise malformed(element.line, f"the unit of <{element.name}> is {short(unit)!r}")
    return int((1000 if lower[1:] == "b" else 1024) ** power)
