"""A file of a guest comes to this host: looked at, read, compared, then named. Changes nothing in the guest."""

from __future__ import annotations

import os
from collections.abc import Callable

from vfioctl.plugin import TYPE_CHECKING, Refused, VfioctlError
from vfioctl_guest.copying import scripts
from vfioctl_guest.copying.into import Copied
from vfioctl_guest.copying.pace import Pace
from vfioctl_guest.names import NOTHING_CHANGED
from vfioctl_guest.whole_file import must_be_free, whole_file

if TYPE_CHECKING:
    from vfioctl_guest.copying.roads import Road


class Out:
    """The file `path` of a guest on its way here, by `road`."""

    def __init__(self, road: Road, guest: str, path: str) -> None:
        self.road, self.guest, self.path = road, guest, path

    def look(self, *, summed: bool = False) -> scripts.Seen:
        """What it is now. Raises Refused("guest.copy"), VfioctlError("guest.copy_failed")."""
        said = self.road.run(scripts.LOOK, self.path, "yes" if summed else "")
        refused = {
            scripts.NO_PLACE: f"There is no {self.path} in guest {self.guest}.",
            scripts.NO_FILE: f"{self.path} in guest {self.guest} is no plain file.",
        }  # fmt: skip
        if said.status in refused:
            hints = ("Put a directory into one file there first, with tar.",) * (said.status == scripts.NO_FILE)
            raise Refused("guest.copy", refused[said.status], state=NOTHING_CHANGED, hints=hints)
        try:
            return scripts.seen(said.stdout)
        except ValueError as error:
            why = said.stderr or f"its shell ended with status {said.status}"
            raise VfioctlError(
                "guest.copy_failed", f"Guest {self.guest} did not tell about {self.path}: {why}.", state=NOTHING_CHANGED
            ) from error

    def foretell(self, was: scripts.Seen, goal: str, *, overwrite: bool) -> Copied:
        """What `bring` would make. Raises Refused."""
        must_be_free(goal, "guest.copy_exists", overwrite=overwrite)
        return Copied(goal, was.size, was.mode, "", compared=False)

    def bring(self, was: scripts.Seen, goal: str, tell: Callable[[str], None], *, overwrite: bool) -> Copied:
        """Make the file `goal` of it. Raises Refused, VfioctlError with nothing left here."""
        pace = Pace(was.size, tell)
        with whole_file(goal, "guest.copy_exists", overwrite=overwrite) as fd, open(fd, "wb", closefd=False) as here:

            def take(data: bytes) -> None:
                pace.passed(data)
                self._must_be(pace.done <= was.size)
                here.write(data)

            self.road.read(self.path, take)
            self._must_be(pace.done == was.size)
            now = self.look(summed=True)
            self._must_be((now.size, now.changed) == (was.size, was.changed))
            if now.sha256 not in ("", pace.sha256):
                said = f"Other bytes came than guest {self.guest} has in {self.path}."
                raise VfioctlError("guest.copy_differs", said, state=NOTHING_CHANGED)
            here.flush()
            os.fchmod(fd, was.mode)
        return Copied(goal, was.size, was.mode, pace.sha256, compared=bool(now.sha256))

    def _must_be(self, same: bool) -> None:  # noqa: FBT001 -- the condition itself
        """Raise Refused("guest.copy_changed") unless it is the file that it was."""
        if not same:
            said = f"{self.path} was changed in guest {self.guest} while it was read."
            hint = "Copy it again when nobody writes to it."
            raise Refused("guest.copy_changed", said, state=NOTHING_CHANGED, hints=(hint,))
