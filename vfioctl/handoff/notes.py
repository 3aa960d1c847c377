"""What is a hand-off's own in the engine: its name, its lock, and what it notes in its plan beside the steps."""

from __future__ import annotations

from collections.abc import Mapping

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.paths import Paths
    from vfioctl.txn.plan import Plan

HAND_OFF = "hand-off"  # the operation's name


def guest_lock(paths: Paths, uuid: str) -> files.Lock:
    """The lock that one hand-off of the guest holds from its first look to its last write."""
    return files.Lock(paths.key_lock(uuid), "The guest is being handed off")


def made(
    *, devices: list[str], identities: Mapping[str, str], drivers: Mapping[str, str],
    parameters: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """The notes as the plan keeps them.

    `identities` by PCI address; `drivers`: module → version when the devices were given; `parameters`: module → its
    settings then.
    """
    return {"devices": devices, "identities": identities, "drivers": drivers, "parameters": parameters}


def devices(plan: Plan) -> tuple[str, ...]:
    """The PCI addresses of the devices that `plan` hands over; none of another operation's."""
    return tuple(plan.notes.get("devices", ()))


def drivers(plan: Plan) -> Mapping[str, str]:
    """Module → version, when the devices were given."""
    found: Mapping[str, str] = plan.notes.get("drivers", {})
    return found


def parameters(plan: Plan) -> Mapping[str, Mapping[str, str]]:
    """Module → its settings, when the devices were given."""
    found: Mapping[str, Mapping[str, str]] = plan.notes.get("parameters", {})
    return found
