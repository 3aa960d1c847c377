"""Driver versions with which unbinding one card is known to hang the kernel. Each row has a source that was read."""

from __future__ import annotations

from vfioctl.plugin import frozen, is_within, numbers


@frozen
class KnownBad:
    """Versions from `first` to `last`, both included; None: no later version is known to be good."""

    first: str
    last: str | None
    what: str
    source: str


KNOWN_BAD = (
    KnownBad(
        "595", "595.99.02",
        "an unbind never returns although no process has the card open; series 590 was good",
        "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/1119",
    ),
    KnownBad(
        "595.99.02", None,
        "an unbind that met a process on the card never returns, not even after that process has ended",
        "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/1374",
    ),
    KnownBad(
        "610.57.04", None,
        "removal forgets the card before its users are gone, so their references never drop; a fix is proposed",
        "https://github.com/NVIDIA/open-gpu-kernel-modules/pull/1292",
    ),
)  # fmt: skip


def known_bad(version: str) -> KnownBad | None:
    """The first row that covers `version`, or None. An unreadable version is covered by no row: refuse it yourself."""
    number = numbers(version)
    return next((row for row in KNOWN_BAD if number and is_within(number, row.first, row.last)), None)
