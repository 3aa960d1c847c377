"""Which cards a guest was given: their identities pinned by address, so that a renumbering fails closed.

Reads and writes only /var/lib/vfioctl/identity/UUID.json. Knows neither libvirt nor the plan.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import reason
from vfioctl.findings import Finding, Severity

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.host.model import PciDevice
    from vfioctl.paths import Paths

SCHEMA = 1


def pinned(paths: Paths, uuid: str) -> dict[str, str] | None:
    """The pinned identities of guest `uuid` by PCI address; None when nothing is pinned yet.

    Raises ValueError when the file is not what `pin` writes.
    """
    record = files.read_json(paths.identity(uuid))
    if record is None:
        return None
    if not isinstance(record, dict) or not isinstance(devices := record.get("devices"), dict):
        raise ValueError("it has no table of devices")
    return {str(address): str(identity) for address, identity in devices.items()}


def guest_of(paths: Paths, uuid: str) -> Any:
    """What the file has for the name that guest `uuid` was pinned with; None where it has nothing."""
    try:
        record = files.read_json(paths.identity(uuid))
    except (OSError, ValueError):
        return None
    return record.get("guest") if isinstance(record, dict) else None


def pin(paths: Paths, uuid: str, guest: str, devices: Iterable[PciDevice]) -> None:
    """Pin exactly `devices` for guest `uuid`, durably; what was pinned before is replaced."""
    files.write_json(paths.identity(uuid), record(guest, devices))


def record(guest: str, devices: Iterable[PciDevice]) -> dict[str, Any]:
    """What the file says that pins `devices` for `guest`."""
    return {"schema": SCHEMA, "guest": guest, "devices": {dev.address: dev.identity for dev in devices}}


def unpin(paths: Paths, uuid: str) -> None:
    """Forget what was pinned for guest `uuid`."""
    files.remove(paths.identity(uuid))


def unpinned(paths: Paths, uuid: str, devices: Iterable[PciDevice]) -> tuple[PciDevice, ...]:
    """Those of `devices` whose address is not pinned yet: the first successful prepare pins them."""
    known = pinned(paths, uuid) or {}
    return tuple(dev for dev in devices if dev.address not in known)


def check(paths: Paths, uuid: str, guest: str, devices: Iterable[PciDevice]) -> tuple[Finding, ...]:
    """What speaks against handing `devices` to guest `uuid`: each whose address now shows another card."""
    try:
        known = pinned(paths, uuid)
    except PermissionError:
        return (_unreadable(guest),)
    except ValueError as error:
        return (_malformed(paths.identity(uuid), guest, error),)
    wanted = ((dev, (known or {}).get(dev.address)) for dev in devices)
    return tuple(_changed(guest, dev, was) for dev, was in wanted if was and was != dev.identity)


def _changed(guest: str, device: PciDevice, was: str) -> Finding:
    from vfioctl.shell import argument  # few starts need it

    return Finding(
        "identity.changed",
        f"{device.address} is {device.identity} now, but {was} was pinned for {guest}:"
        " the host was renumbered or the card was replaced.",
        hint=f"Correct the addresses in the domain, then pin them with: vfioctl enable {argument(guest)}",
        source="identity",
    )


def _unreadable(guest: str) -> Finding:
    """Blocks where it counts: root, whom something keeps from reading it, must not go on as if nothing were pinned."""
    severity = Severity.BLOCK if os.geteuid() == 0 else Severity.INFO
    message = f"Which cards are pinned for {guest} could not be read without root."
    return Finding("identity.unreadable", message, severity, source="identity")


def _malformed(path: str, guest: str, error: ValueError) -> Finding:
    from vfioctl.shell import argument

    return Finding(
        "identity.malformed",
        f"{path} cannot be read as pinned identities: {reason(error)}.",
        hint=f"Pin them anew with: vfioctl enable {argument(guest)}",
        source="identity",
    )
