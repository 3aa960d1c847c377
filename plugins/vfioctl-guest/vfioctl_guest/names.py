"""What a guest may be called: a name of a file and of a host, and nothing that is taken for a number. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import chain, count

from vfioctl.plugin import TYPE_CHECKING, Refused, argument

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Node

LONGEST = 60
VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
NOTHING_CHANGED = "Nothing was changed."


def check_new(name: str) -> None:
    """Raise Refused("guest.bad_name"). virsh takes a name of digits for the id of a running guest."""
    if VALID.fullmatch(name) and not name.isdigit() and len(name) <= LONGEST:
        return
    rule = f"it must begin with a letter or digit, and have up to {LONGEST} letters, digits, '.', '_' and '-'"
    why = "virsh would take it for the id of a running guest" if name.isdigit() else rule
    raise Refused("guest.bad_name", f"{name!r} cannot name a guest: {why}.", state=NOTHING_CHANGED)


def file_names(guest: str) -> Iterator[str]:
    """The names of the volumes that are made for a guest, one after the other."""
    return (f"{guest}{end}.qcow2" for end in chain(("",), (f"-{number}" for number in count(2))))


def below_root(call: Call, path: str) -> str:
    """`path` as steps name it: without the root of a chroot."""
    return f"/{os.path.relpath(path, call.paths.root)}"


def seed_name(guest: str) -> str:
    """The name of the volume of a guest's seed."""
    return f"{guest}-seed.iso"


def typed(guest: str, node: Node) -> str:
    """How the guest is named in a command line, with its node where that is not this host."""
    return f"{argument(guest)}{node.there}"


def cpus_of(count: int | None) -> str:
    """So many in words; None where nobody says how many."""
    return f"{count or '?'} {'CPU' if count == 1 else 'CPUs'}"
