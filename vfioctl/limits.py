"""How long the parts of an operation may take, in seconds. Plain data; measures nothing."""

from __future__ import annotations

from vfioctl.frozen import frozen


@frozen
class Limits:
    """prepare: to plan and apply; undo: on top, to undo; release: inside the hook; finish: the detached part.

    plan: of those of prepare, to plan. start: from before the first step until whoever gets the devices is there.
    """

    prepare: float = 45.0
    undo: float = 30.0
    release: float = 15.0
    finish: float = 120.0
    start: float = 120.0
    plan: float = 20.0
