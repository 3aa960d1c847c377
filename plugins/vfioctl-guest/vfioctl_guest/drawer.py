"""Where configurations of guests are kept that would be lost else: in the state of vfioctl, for their owner alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl_guest.whole_file import whole_file

if TYPE_CHECKING:
    from vfioctl.plugin import Call

PRIVATE = 0o700
EDITED, PRESENT, FORMER = "edited", "present", "former"


class Drawer:
    """The texts that are kept of one guest: what somebody has EDITED, the PRESENT one that it is to replace, and the
    FORMER one, which it has replaced. One on another `node` has its own; "" is this host.

    Making one keeps nothing yet. Raises Refused("not_root") for a caller who has no place of their own.
    """

    def __init__(self, call: Call, guest: str, node: str = "") -> None:
        state = call.paths.state if call.administers else call.caller.state
        if not state:
            call.need_root()
        self._begin = os.path.join(state, "edits", node, guest)

    def path(self, what: str) -> str:
        return f"{self._begin}.{what}.xml"

    def keep(self, what: str, text: str) -> str:
        """Keep `text` in place of what was kept so before; its path. Raises Refused("guest.edit"), OSError."""
        path = self.path(what)
        os.makedirs(os.path.dirname(path), mode=PRIVATE, exist_ok=True)
        with whole_file(path, "guest.edit", overwrite=True) as fd, open(fd, "wb", closefd=False) as out:
            out.write(text.encode())
        return path

    def rename(self, what: str, into: str) -> str:
        """Make it what `into` is, in place of what was kept so before; its path. Raises OSError."""
        os.replace(self.path(what), self.path(into))
        return self.path(into)

    def drop(self, what: str) -> None:
        """Forget it. Raises OSError."""
        os.unlink(self.path(what))
