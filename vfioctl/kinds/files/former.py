"""What a file was before it is replaced: looked at, compared, and written again. Decides nothing."""

from __future__ import annotations

import errno
import os
import stat

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import frozen
from vfioctl.kinds.files.marks import MARK, UNMARKABLE, mark_of
from vfioctl.txn.blobs import BLOB, LARGEST, new_name, sha256
from vfioctl.txn.shape import COUNT, TEXT, Form, Shape

if TYPE_CHECKING:
    from vfioctl.kinds.files.place import Place

RESTORED = {MARK, "security.selinux"}  # the kernel gives a new file the label of its directory
SHAPE = Shape(blob=BLOB, mode=COUNT, uid=COUNT, gid=COUNT, mtime_ns=COUNT, author=TEXT)
FORMER = Form("what a file was", lambda value: not SHAPE.problem(value))


@frozen
class Former:
    """`blob` names its content; `author` is the operation that its mark names, "" for none."""

    blob: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    author: str

    def is_at(self, place: Place) -> bool:
        """Whether it is there, unchanged: bytes, permissions, owner and mark."""
        try:
            return self.is_like(look(place)[0])
        except OSError:
            return False

    def is_like(self, other: Former) -> bool:
        return self._identity == other._identity

    @property
    def _identity(self) -> tuple[str, int, int, int, str]:
        return sha256(self.blob), self.mode, self.uid, self.gid, self.author

    def write(self, place: Place, name: str, content: bytes) -> None:
        """Make the file `name` in `place` as it was. Raises OSError."""
        place.write(name, content, mode=self.mode, owner=(self.uid, self.gid), author=self.author)
        os.utime(name, ns=(self.mtime_ns, self.mtime_ns), dir_fd=place.fd, follow_symlinks=False)


def look(place: Place) -> tuple[Former, bytes]:
    """What is there, with its content. Raises OSError, also for what is no plain file or too large."""
    fd = place.open(place.name)
    with open(fd, "rb") as file:
        status, author = os.fstat(fd), mark_of(fd) or ""
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(errno.EFBIG, "It is too large to be put back", place.path)
    mode = stat.S_IMODE(status.st_mode)
    return Former(new_name(content), mode, status.st_uid, status.st_gid, status.st_mtime_ns, author), content


def unrestorable(path: str) -> str:
    """Why the file at `path` could not be put back as it is, in words; "" where it can, or where nothing is."""
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            return "it is no plain file"
        further = set(_attributes(path)) - RESTORED
        readable = os.access(path, os.R_OK)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"it cannot be looked at ({error.strerror})"
    if not readable:
        return "it cannot be read by this user"
    if status.st_nlink > 1:
        return "it has further names (hard links), which would keep the old content"
    if status.st_size > LARGEST:
        return f"it is larger than {LARGEST >> 20} MiB"
    return f"it has extended attributes ({', '.join(sorted(further))})" if further else ""


def _attributes(path: str) -> list[str]:
    try:
        return os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno in UNMARKABLE:
            return []
        raise
