"""What people name, looked up: a guest, an address, a record. What there is not is refused with what there is instead.

Asks libvirt nothing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from vfioctl.config.load import managed_guests
from vfioctl.errors import VfioctlError
from vfioctl.txn.history import ids, read_all
from vfioctl.txn.journal import open_uuids, read_both
from vfioctl.unknown import no_such

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice
    from vfioctl.paths import Paths

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


def record_id(paths: Paths, text: str) -> str:
    """The id of the record that `text` names: an id, its beginning, or "last". Raises Refused, PermissionError."""
    names = ids(paths)
    if text == LAST and names:
        return next((run.id for run in read_all(paths).runs), names[-1])  # ids tell seconds only
    found = [name for name in names if name.startswith(text)] if text else []
    if text in names or len(found) == 1:
        return text if text in names else found[0]
    if found:
        message = f"{text!r} begins {len(found)} records of the history"
        raise no_such("history.unknown", message, text, reversed(found), "They are")
    message = f"There is no hand-off {text!r} in the history"
    refused = no_such("history.unknown", message, text, (), "")
    refused.hints = ("List them with: vfioctl history",)
    raise refused


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
