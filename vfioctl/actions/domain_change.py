"""The change of a guest's domain that `enable` makes and `disable` takes back: shown as a diff, applied by libvirt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.actions import hostdev_mode
from vfioctl.actions.define import define
from vfioctl.frozen import frozen
from vfioctl.result import Message
from vfioctl.shell import argument

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.actions.caller import Call
    from vfioctl.actions.domains import Found


@frozen
class Change:
    """The domain's XML as it should be: `diff` is empty when it is so already, `applied` when libvirt took it."""

    diff: str = ""
    applied: bool = False


def set_mode(call: Call, found: Found, value: str, addresses: Iterable[str], *, apply: bool = True) -> Change:
    """Say managed='`value`' for the devices at `addresses`, where libvirt can be given the domain back."""
    return changed(call, found, hostdev_mode.set_managed(found.xml, value, addresses), apply=apply)


def changed(call: Call, found: Found, wanted: bytes, *, apply: bool = True) -> Change:
    """Make `wanted` the domain of `found`, where libvirt can be given it back; without `apply` only the difference."""
    diff = hostdev_mode.difference(found.xml, wanted, found.domain.name)
    if apply and diff and found.editable:
        define(call, found, wanted)
    return Change(diff, applied=apply and bool(diff) and found.editable)


def by_hand(guest: str) -> Message:
    """What to do when libvirt's own definition was not changed."""
    text = "The domain of libvirt is not changed: it was not read from there."
    return Message(text, "warning", "libvirt.binding", f"Make the change shown with: virsh edit {argument(guest)}")
