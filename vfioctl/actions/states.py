"""Whose state a caller works on: the host's, or their own, which lies in their own directory. Reads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.compose import Composition
    from vfioctl.paths import Paths


def node_of(call: Call) -> Composition:
    """The host with the operations of this caller: root's, or their own."""
    if call.administers or not call.caller.state:
        return call.composition
    return call.composition.owned(call.caller.state)


def places_of(call: Call) -> tuple[Paths, ...]:
    """Where this caller may look for records: in their own state, where they have one, and in the host's."""
    own, host = node_of(call).paths, call.composition.paths
    return (own,) if own.history == host.history else (own, host)
