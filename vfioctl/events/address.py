"""A PCI address in text: of a person, of a program's output, of QEMU's arguments. Reads that text alone."""

from __future__ import annotations

from vfioctl.events.element import PCI_LIMITS

DIGITS = frozenset("0123456789abcdef")


def read_address(text: str) -> str | None:
    """DDDD:BB:DD.F, as sysfs has it, of what `text` names; None where that is no address.

    Each part is a hexadecimal number of any length: nvidia-smi writes 00000000:01:00.0, lspci leaves out the domain 0,
    and QEMU reads "0x" before each (set_pci_host_devaddr).
    """
    place, _, function = text.strip().lower().rpartition(".")
    parts = [*place.split(":"), function]
    numbers = [_number(part) for part in (parts if len(parts) == len(PCI_LIMITS) else ["0", *parts])]
    limits = tuple(PCI_LIMITS.values())
    if len(numbers) != len(limits) or not all(0 <= one <= limit for one, limit in zip(numbers, limits, strict=True)):
        return None
    return "{:04x}:{:02x}:{:02x}.{:x}".format(*numbers)


def _number(part: str) -> int:
    """-1 for none."""
    digits = part.removeprefix("0x")
    return int(digits, 16) if digits and DIGITS.issuperset(digits) else -1
