"""What is known of a hand-off whose journal cannot be read: whose it is, what it holds, what is left of its words.

Looks only. The ledger counts, and what can still be read of the journal; what neither names is held by nobody.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused, VfioctlError
from vfioctl.events.libvirt import name_problem
from vfioctl.handoff import identity, markers
from vfioctl.host.drivers import is_vfio
from vfioctl.host.pci import driver
from vfioctl.host.readers import ADDRESS
from vfioctl.kinds import PCI
from vfioctl.paths import Paths
from vfioctl.txn.journal import ends_of, read_both
from vfioctl.txn.plan import Plan
from vfioctl.txn.resources import Entry, Ledger

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.txn.journal import Story


def problem_of(paths: Paths, uuid: str) -> VfioctlError | None:
    """Why the journal of `uuid` cannot be read; None when it can, or is not there."""
    try:
        read_both(paths, uuid)
    except VfioctlError as error:
        return error
    return None


def story_of(paths: Paths, uuid: str) -> Story | None:
    """What the journal of `uuid` tells; None where it cannot be read, or is not there."""
    with suppress(VfioctlError):
        return read_both(paths, uuid)
    return None


def entries(paths: Paths, uuid: str) -> tuple[Entry, ...]:
    """What the ledger says that `uuid` holds, as far as it can be read."""
    return tuple(entry for entry in Ledger(paths).readable()[0] if uuid in entry.holders)


def devices(paths: Paths, uuid: str) -> tuple[str, ...]:
    """The PCI functions that it holds: by the ledger, and where that is lost by the journal, while they are away."""
    held = {entry.resource.removeprefix(PCI) for entry in entries(paths, uuid)
            if entry.resource.startswith(PCI)}  # fmt: skip
    return tuple(sorted(held.union(address for address in _named(paths, uuid) if _is_away(paths, address))))


def _named(paths: Paths, uuid: str) -> Iterator[str]:
    """The functions that can still be read in its journal of this boot."""
    plan = header(paths.boot_journal(uuid)).get("plan", {})
    notes = plan.get("notes", plan)  # before schema 3 the plan itself named them
    named = notes.get("devices") if isinstance(notes, dict) else ()
    for address in named if isinstance(named, list) else ():
        if isinstance(address, str) and ADDRESS.fullmatch(address):
            yield address


def _is_away(paths: Paths, address: str) -> bool:
    return is_vfio(paths, driver(paths, address) or "")


def guest_of(paths: Paths, uuid: str) -> str:
    """The name of the guest, as the marks, the ledger, the rest of the journal or its pins tell; "" when none does."""
    return next(filter(None, _names(paths, uuid)), "")


def _names(paths: Paths, uuid: str) -> Iterator[str]:
    with suppress(OSError):
        yield from (name for name in sorted(os.listdir(paths.markers)) if markers.uuid_of(paths, name) == uuid)
    with suppress(OSError):
        yield from (entry.holders[uuid] for entry in entries(paths, uuid))
    yield from (name for name in _written(paths, uuid) if isinstance(name, str) and not name_problem(name))


def _written(paths: Paths, uuid: str) -> Iterator[Any]:
    """What journals and pins, which may be damaged, have for its name."""
    for path in (paths.boot_journal(uuid), paths.disk_journal(uuid)):
        plan = header(path).get("plan", {})
        yield plan.get("subject", plan.get("guest"))
    yield identity.guest_of(paths, uuid)


def header(path: str) -> Mapping[str, Any]:
    """The first line of the journal at `path`, as far as it is an object with a plan; {} when it is none."""
    found = _object(ends_of(path)[0])
    return found if isinstance(found.get("plan"), dict) else {}


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def last_words(path: str, most: int) -> tuple[str, ...]:
    """What the last lines of the journal at `path` say that can be read, oldest first."""
    said = (_in_words(_object(line)) for line in ends_of(path)[1])
    return tuple(filter(None, said))[-most:]


def _in_words(line: Mapping[str, Any]) -> str:
    if isinstance(line.get("standing"), str):
        return f"it stood at {line['standing']}"
    words = [line.get(key) for key in ("what", "action", "step")]
    return " ".join(map(str, words)) if all(isinstance(word, str) for word in words) else ""


def refuse_needed(paths: Paths, plan: Plan, uuid: str, error: VfioctlError) -> None:
    """Raise Refused when the hand-off of `uuid`, whose journal cannot be read, holds a device that `plan` needs."""
    wanted = {name.removeprefix(PCI) for name in plan.resources if name.startswith(PCI)}
    if needed := sorted(wanted & set(devices(paths, uuid))):
        raise Refused(
            error.code,
            f"{plan.subject} was not started: {', '.join(needed)} is held by a hand-off of "
            f"{guest_of(paths, uuid) or uuid} whose journal is damaged. {error.message}",
            state="Nothing was changed.", hints=way_out(paths, uuid),
        )  # fmt: skip


def way_out(paths: Paths, uuid: str) -> tuple[str, ...]:
    """What to do, in its order: the undo that lies beside it first, while nobody has run that."""
    from vfioctl.shell import argument

    guest = guest_of(paths, uuid)
    aside = f"its journal aside with: vfioctl recover --discard {argument(uuid)}"
    if not has_undo(paths, guest, uuid):
        return (f"Put {aside}",)
    return (f"Bring what it holds home with: vfioctl rescue --guest {argument(guest)}", f"Then put {aside}")


def has_undo(paths: Paths, guest: str, uuid: str) -> bool:
    """Whether the undo of this hand-off lies beside it, and nobody has run it with success."""
    is_there = markers.are_of(paths, guest, uuid) and markers.has(paths, guest, markers.UNDO)
    return is_there and not is_undone(paths, guest)


def is_undone(paths: Paths, guest: str) -> bool:
    """Whether undo.sh has brought everything home: the mark holds the status that it ended with."""
    path = os.path.join(paths.guest_markers(guest), markers.UNDONE_BY_SH)
    return (files.read_text(path) or "").strip() == "0"
