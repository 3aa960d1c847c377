"""A file of this host goes into a guest: its bytes beside the name first, compared, then named, or removed."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from vfioctl.plugin import TYPE_CHECKING, Refused, VfioctlError, as_size, field, frozen, open_plain
from vfioctl_guest.copying import scripts
from vfioctl_guest.copying.pace import Pace
from vfioctl_guest.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl_guest.copying.roads import Road, Said

CHUNK = 1 << 18


@frozen
class Copied:
    """What was copied: `path` on the other side, `compared` whether both sides have said its sha256.

    Of a dry run it is what would be copied, and `sha256` is "".
    """

    path: str
    size: int
    mode: int
    sha256: str
    compared: bool


@frozen
class Source:
    """A plain file of this host, open, as it was when it was opened."""

    path: str
    fd: int
    was: os.stat_result = field(repr=False)

    def chunks(self, pace: Pace) -> Iterator[bytes]:
        """Its bytes, counted. Raises Refused("guest.copy_changed") where they are not what it had at the begin."""
        while chunk := os.read(self.fd, CHUNK):
            if pace.done + len(chunk) > self.was.st_size:
                break
            pace.passed(chunk)
            yield chunk
        now = os.fstat(self.fd)
        if (pace.done, now.st_size, now.st_mtime_ns) != (self.was.st_size, self.was.st_size, self.was.st_mtime_ns):
            said = f"{self.path} was changed while it was read."
            raise Refused("guest.copy_changed", said, hints=("Copy it again when nobody writes to it.",))


@contextmanager
def source(path: str) -> Iterator[Source]:
    """The file to copy. Raises Refused("guest.copy")."""
    if not os.path.basename(path).isprintable():  # what the guest's shell says of a name is read line by line
        said = f"The name of {path!r} has characters that cannot be printed, or are not in UTF-8."
        raise Refused("guest.copy", said, state=NOTHING_CHANGED, hints=("Rename it, or copy a link to it.",))
    try:
        fd = open_plain(path, follow=True)
    except OSError as error:
        hints = ("Put a directory into one file first, with tar.",) if os.path.isdir(path) else ()
        said = f"{path} cannot be read: {error.strerror}."
        raise Refused("guest.copy", said, state=NOTHING_CHANGED, hints=hints) from error
    try:
        yield Source(path, fd, os.fstat(fd))
    finally:
        os.close(fd)


def into(
    road: Road, guest: str, one: Source, path: str, tell: Callable[[str], None], *, overwrite: bool,
    dry_run: bool = False,
) -> Copied:  # fmt: skip
    """Copy it to `path` in the guest, a file or a directory. Raises Refused, VfioctlError with nothing left."""
    size, mode, replaces = one.was.st_size, stat.S_IMODE(one.was.st_mode) & 0o777, "yes" if overwrite else ""
    name = os.path.basename(one.path)
    dry, every, own = "yes" if dry_run else "", str(scripts.EVERY), f".vfioctl-{secrets.token_hex(4)}"
    try:
        begun = road.run(scripts.BEGIN, path, name, str((size >> 10) + 1), replaces, dry, every, own)
    except KeyboardInterrupt:  # it may have been made: as a directory beside the file, or in the one that `path` is
        with suppress(VfioctlError):
            road.run(scripts.REMOVE, f"{os.path.dirname(path)}/{own}", f"{path.rstrip('/')}/{own}")
        raise
    _must_be_well(begun, guest, path, size)
    if dry_run:
        return Copied(begun.stdout.rstrip("\n"), size, mode, "", compared=False)
    goal, made = begun.stdout.splitlines()
    with _removing(road, guest, made, tell):
        pace = Pace(size, tell)
        road.write(f"{made}/file", one.chunks(pace))
        ended = road.run(scripts.END, made, goal, f"{mode:o}", str(size), pace.sha256, replaces)
        _must_be_well(ended, guest, goal, size)
    return Copied(goal, size, mode, pace.sha256, compared=bool(ended.stdout))


@contextmanager
def _removing(road: Road, guest: str, made: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Remove the directory `made` in the guest when the block fails, or say that it is left."""
    try:
        yield
    except BaseException as error:
        try:
            left = bool(road.run(scripts.REMOVE, made).status)
        except VfioctlError:
            left = True
        said = f"The guest keeps what came of it in {made}." if left else "Nothing of it is left in the guest."
        if isinstance(error, VfioctlError):
            error.state = said
        elif left:
            tell(f"Guest {guest}: {said}")
        raise


def _must_be_well(said: Said, guest: str, path: str, size: int) -> None:
    """Raise for a script that ended otherwise."""
    if not said.status:
        return
    refused = {
        scripts.NO_PLACE: ("guest.copy", f"There is no directory {os.path.dirname(path) or '/'} in guest {guest}."),
        scripts.NO_FILE: ("guest.copy", f"{path} in guest {guest} is no plain file, and is not replaced."),
        scripts.EXISTS: ("guest.copy_exists", f"{path} is there already in guest {guest}."),
        scripts.NO_ROOM: ("guest.copy_room", f"Guest {guest} has no room for {as_size(size)} at {path}."),
    }  # fmt: skip
    if said.status in refused:
        code, why = refused[said.status]
        hints = ("Replace it with: --overwrite",) if said.status == scripts.EXISTS else ()
        raise Refused(code, why, state=NOTHING_CHANGED, hints=hints)
    if said.status in (scripts.SHORT, scripts.DIFFERS):
        raise VfioctlError("guest.copy_differs", f"Guest {guest} has got other bytes than were sent to {path}.")
    why = said.stderr or f"its shell ended with status {said.status}"
    raise VfioctlError("guest.copy_failed", f"Guest {guest} did not take {path}: {why}.")
