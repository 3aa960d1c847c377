"""What people name, looked up: a guest, an address, a record. What there is not is refused with what there is instead.

Asks libvirt nothing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from vfioctl.config.load import managed_guests
from vfioctl.errors import Refused, VfioctlError
from vfioctl.shell import word
from vfioctl.txn.history import ids, read, read_all
from vfioctl.txn.journal import open_uuids, read_both
from vfioctl.unknown import no_such

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice
    from vfioctl.paths import Paths
    from vfioctl.txn.history import Run

LAST = "last"


def function(host: Host, address: str) -> PciDevice:
    """The PCI function at `address`. Raises Refused("pci.unknown")."""
    if not host.has_device(address):
        cards = tuple(device.address for device in host.displays())
        message = f"There is no PCI device at {address}"
        refused = no_such("pci.unknown", message, address, cards, "The cards of this host")
        refused.hints = (*refused.hints, "See every device with: vfioctl gpu list --all")
        raise refused
    return host.device(address)


def record(places: Sequence[Paths], text: str, runs: Sequence[Run]) -> Run:
    """The record that `text` names: an id, its beginning, or "last". Of two with one id, that of the earlier place.

    `runs` are all of these places that can be read, newest first.

    Raises Refused("history.unknown"), VfioctlError("history.damaged").
    """
    names = {name: paths for paths in reversed(places) for name in seen_ids(paths)}
    if text == LAST and names:
        return runs[0] if runs else read(names[max(names)], max(names))  # which says what is wrong with it
    found = [name for name in names if name.startswith(text)] if text else []
    if text in names or len(found) == 1:
        name = text if text in names else found[0]
        return read(names[name], name)
    if found:
        message = f"{text!r} begins {len(found)} records of the history"
        raise no_such("history.unknown", message, text, sorted(found, reverse=True), "They are")
    raise _no_record(text, (*names, LAST) if names else (), runs)


def _no_record(text: str, names: Sequence[str], runs: Sequence[Run]) -> Refused:
    """With the nearest of `names`; a guest is named by an option."""
    refused = no_such("history.unknown", f"There is no hand-off {text!r} in the history", text, names, "")
    is_guest = any(run.guest.removeprefix("guest:") == text for run in runs)
    of_guest = (f"Those of that guest: vfioctl history --guest {word(text)}",) if is_guest else ()
    refused.hints = (*of_guest, "List them with: vfioctl history")
    return refused


def seen_ids(paths: Paths) -> tuple[str, ...]:
    """The ids of the records there; none where this process may not look."""
    try:
        return tuple(ids(paths))
    except PermissionError:
        return ()


def known_guests(paths: Paths) -> tuple[str, ...]:
    """Every guest that vfioctl has something of: a file, an open hand-off, a record. What is hidden is left out."""
    found = set(managed_guests(paths))
    with suppress(PermissionError):
        found |= {record.guest.removeprefix("guest:") for record in read_all(paths).runs}
    with suppress(PermissionError):
        found |= set(_open_guests(paths))
    return tuple(sorted(found))


def _open_guests(paths: Paths) -> Iterator[str]:
    for uuid in open_uuids(paths):
        with suppress(VfioctlError):  # a journal that cannot be read names nobody
            if story := read_both(paths, uuid):
                yield story.plan.subject


def must_be_known(paths: Paths, guest: str) -> None:
    """Raise Refused("guest.unknown") when vfioctl has nothing of `guest`."""
    known = known_guests(paths)
    if guest not in known:
        raise no_such("guest.unknown", f"vfioctl knows no guest {guest!r}", guest, known, "It knows")
