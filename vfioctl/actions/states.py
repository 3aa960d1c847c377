"""Whose state a caller works on: the host's, or their own, which lies in their own directory. Reads nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.errors import NotRoot

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.compose import Composition
    from vfioctl.paths import Paths


def node_of(call: Call) -> Composition:
    """The host with the operations of this caller: root's, or their own. Raises NotRoot for one who has none here."""
    if call.administers:
        return call.composition
    if not has_own(call):
        raise _not_root(call)
    return call.composition.owned(call.caller.state)


def has_own(call: Call) -> bool:
    """Whether this process works on what a caller has of their own, with no more rights than they have themselves."""
    return bool(call.caller.state) and os.geteuid() != 0


def places_of(call: Call) -> tuple[Paths, ...]:
    """Where this caller may look for records: in their own state, where they have one, and in the host's."""
    host = call.composition.paths
    return (host,) if call.administers or not has_own(call) else (node_of(call).paths, host)


def _not_root(call: Call) -> NotRoot:
    if call.caller.state:
        said = f"`vfioctl {call.verb}` would run with the rights of root here, which its caller has not."
        hints: tuple[str, ...] = ("Call it in a process of the caller's own user.",)
    else:
        said = f"`vfioctl {call.verb}` needs root, or a directory for operations of the caller's own."
        hints = (f"Run it as root: sudo {call.again()}", "Or set HOME or XDG_STATE_HOME.")
    return NotRoot("not_root", said, state=NOTHING_CHANGED, hints=hints)
