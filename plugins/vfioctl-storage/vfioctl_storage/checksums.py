"""Checksums as users give them, and lists of them as distributions publish them. Pure."""

from __future__ import annotations

import re

from vfioctl.plugin import Refused
from vfioctl_storage.names import NOTHING_CHANGED

DIGITS = frozenset("0123456789abcdef")
LENGTH = 64  # digits of a sha256
LENGTHS = {64: "sha256", 128: "sha512"}  # hex digits
# As sha256sum(1) writes them: without and with --tag, which Fedora does. A sum alone is of the only file (Alpine).
GNU = re.compile(r"(?P<sum>[0-9a-fA-F]+)(?: [ *](?:\./)?(?P<file>\S+))?\s*")
BSD = re.compile(r"SHA(?:256|512) \((?P<file>[^)]+)\) = (?P<sum>[0-9a-fA-F]+)\s*")


def find(listed: str, file: str) -> tuple[str, str]:
    """The name of the checksum and its hex digits, for `file`; empty where the list has none of it, or several."""
    found = {
        match["sum"].lower() for line in listed.splitlines()
        if (match := GNU.fullmatch(line) or BSD.fullmatch(line)) and match["file"] in (None, file)
        and len(match["sum"]) in LENGTHS
    }  # fmt: skip
    if len(found) != 1:
        return "", ""
    (one,) = found
    return LENGTHS[len(one)], one


def checksum(text: str) -> str:
    """The sha256 that a user gives as `text`, as the step takes it. Raises Refused("volume.checksum")."""
    found = text.strip().lower().removeprefix("sha256:")
    if found and (len(found) != LENGTH or not DIGITS.issuperset(found)):
        raise Refused("volume.checksum", f"{text!r} is no sha256: it has 64 digits, 0 to f.", state=NOTHING_CHANGED)
    return found
