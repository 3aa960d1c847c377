"""Lists of checksums as distributions publish them: which one belongs to a file. Pure."""

from __future__ import annotations

import re

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
