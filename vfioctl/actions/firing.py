"""Whether the hook would fire at all, as warnings of the commands that speak of a start. Asks libvirt nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl.result import Message
from vfioctl.setup.verify import would_not_fire

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call


def warnings(call: Call) -> tuple[Message, ...]:
    """Why a start would not reach vfioctl; nothing when it does."""
    shim = call.composition.paths.shim
    try:
        os.lstat(shim)
    except PermissionError:
        return (_unseen(shim),)
    except OSError:
        pass  # it is missing, which is said below
    try:
        found = would_not_fire(call.composition)
    except PermissionError as error:
        return (_unseen(error.filename or shim),)
    return tuple(Message(item.message, "warning", item.code, f"Mend it with: {item.hint}") for item in found)


def _unseen(path: str) -> Message:
    return Message(f"{path} could not be looked at without root.", "warning", "hook.unreadable")
