"""Kernels on which a way of freeing a card is known to harm the host. Each row has a source that was read."""

from __future__ import annotations

from vfioctl.plugin import frozen, is_within, numbers
from vfioctl_amdgpu.family import Family

BY_UNLOAD = "unload"
BY_UNBIND = "unbind"


@frozen
class KnownBad:
    """Kernels from `first` to `last`, both included; None: none later is known to be good. `way` is how it is freed."""

    first: str
    last: str | None
    family: Family
    way: str
    what: str
    source: str


KNOWN_BAD = (
    KnownBad(
        "6.18.7", None, Family.RDNA2, BY_UNLOAD,
        "unloading amdgpu freezes the host with a machine check, and it reboots",
        "https://github.com/CachyOS/linux-cachyos/issues/681",
    ),
    KnownBad(
        "6.17", None, Family.APU, BY_UNBIND,
        "taking amdgpu off processor graphics in use powers the host off",
        "https://github.com/mroboff/vm-curator/issues/61",
    ),
    KnownBad(
        "6.17", None, Family.APU, BY_UNLOAD,
        "amdgpu keeps a reference to processor graphics that nobody holds, so it never unloads",
        "https://github.com/mroboff/vm-curator/issues/75",
    ),
)  # fmt: skip


def known_bad(kernel: str, family: Family, way: str) -> KnownBad | None:
    """The first row that covers freeing a card of `family` by `way` on `kernel`, or None."""
    number = numbers(kernel)
    rows = (row for row in KNOWN_BAD if row.family is family and row.way == way)
    return next((row for row in rows if is_within(number, row.first, row.last)), None)
