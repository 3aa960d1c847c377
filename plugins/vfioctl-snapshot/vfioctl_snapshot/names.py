"""The names that people give snapshots, and those of the files that are made for them. Pure."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Container, Iterable
from itertools import chain, count

from vfioctl.plugin import Refused, argument, no_such
from vfioctl_snapshot.naming import nvram_stem

LONGEST = 60
VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
BEFORE_REVERT = "before-revert-"
STAMP = "%Y%m%d-%H%M%S"
SUFFIX = ".qcow2"
NOTHING_CHANGED = "Nothing was changed."


def problem(name: str) -> str:
    """What is wrong with `name` for a snapshot; "" for nothing."""
    if not VALID.fullmatch(name) or len(name) > LONGEST:
        return f"it must begin with a letter or digit and have up to {LONGEST} letters, digits, '.', '_' and '-'"
    return ""


def stamp(now: float) -> str:
    """The moment `now` in UTC, as it stands in names."""
    return time.strftime(STAMP, time.gmtime(now))


def free(name: str, taken: Container[str]) -> str:
    """`name`, or the first with a number at its end that nobody has."""
    if name not in taken:
        return name
    return next(numbered for number in range(2, 10**6) if (numbered := f"{name}-{number}") not in taken)


def check_new(name: str, guest: str, taken: Container[str]) -> None:
    """Raise Refused("snapshot.bad_name", "snapshot.taken")."""
    if why := problem(name):
        raise Refused("snapshot.bad_name", f"{name!r} cannot name a snapshot: {why}.", state=NOTHING_CHANGED)
    if name in taken:
        raise Refused(
            "snapshot.taken", f"Guest {guest} has a snapshot {name!r} already.", state=NOTHING_CHANGED,
            hints=(f"See: vfioctl snapshot show {argument(guest)} {argument(name)}",),
        )  # fmt: skip


def unknown(name: str, guest: str, known: Iterable[str]) -> Refused:
    """The error about a snapshot that there is not, with the nearest name that there is."""
    refused = no_such("snapshot.unknown", f"Guest {guest} has no snapshot {name!r}", name, known, "It has")
    refused.hints = (*refused.hints, f"See: vfioctl snapshot list {argument(guest)}")
    return refused


def overlay(image: str, name: str, known: Iterable[str], taken: Container[str]) -> str:
    """A free path beside `image` for the overlay of the snapshot `name`.

    `known` are the names of the guest's snapshots: theirs in the image's own name gives way to the new one.
    """
    directory, base = os.path.split(image)
    stem = base.removesuffix(SUFFIX)
    for other in sorted(known, key=len, reverse=True):
        if stem.endswith(f".{other}"):
            stem = stem.removesuffix(f".{other}")
            break
    stem = os.path.splitext(stem)[0] if stem == base else stem
    numbers = chain(("",), (f"-{number}" for number in count(2)))
    return next(path for number in numbers if (path := f"{directory}/{stem}.{name}{number}{SUFFIX}") not in taken)


def nvram_copy(nvram: str, name: str, taken: Container[str]) -> str:
    """A free path beside `nvram` for its copy of the snapshot `name`; what an earlier revert added gives way."""
    return free(f"{nvram_stem(nvram)}.{name}", taken)


def tpm_copy(state: str, name: str, taken: Container[str]) -> str:
    """A free path beside the file `state` of a TPM for its copy of the snapshot `name`."""
    return free(f"{state}.{name}", taken)


def nvram_in_use(nvram: str, operation: str) -> str:
    """The path of the NVRAM that a revert puts beside `nvram`: the guest uses it from then on."""
    return f"{nvram_stem(nvram)}.vfioctl-{operation}.fd"
