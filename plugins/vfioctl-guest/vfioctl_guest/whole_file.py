"""A file of this host that a verb makes for its caller: without a name first, then whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from vfioctl.plugin import Refused
from vfioctl_guest.names import NOTHING_CHANGED

PRIVATE = 0o600
UNNAMED = "/proc/self/fd"
NO_SUCH = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT)  # a file system, or a kernel, without files that have no name


@contextmanager
def whole_file(path: str, code: str, *, mode: int = PRIVATE, overwrite: bool) -> Iterator[int]:
    """A descriptor to write it with; `path` is it when the block ends well. Links are replaced, never followed.

    Raises Refused(`code`) where it is there and not to be replaced, or cannot be written; nothing is left then. One
    that is killed leaves nothing either, but on a file system without O_TMPFILE (NFS).
    """
    fresh = f"{path}.{secrets.token_hex(8)}"
    with _refusing(path, code):
        _may_be_made(path, overwrite=overwrite)
        fd, named = _opened(path, fresh, mode)
        try:
            try:
                yield fd
                os.fsync(fd)
                if not named:
                    _link(fd, fresh if overwrite else path)
            finally:
                os.close(fd)
            if overwrite:
                os.replace(fresh, path)
            elif named:
                os.link(fresh, path)
        finally:
            if os.path.exists(fresh):
                os.unlink(fresh)


def must_be_free(path: str, code: str, *, overwrite: bool) -> None:
    """Raise Refused(`code`) where `whole_file` would, as far as that is seen beforehand."""
    with _refusing(path, code):
        _may_be_made(path, overwrite=overwrite)
        if not os.access(os.path.dirname(path) or ".", os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "its directory is not there, or is not yours to write to", path)


def _opened(path: str, fresh: str, mode: int) -> tuple[int, bool]:
    """A descriptor, and whether the file has the name `fresh`: one without a name goes with its process."""
    try:
        return os.open(os.path.dirname(path) or ".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, mode), False
    except OSError as error:
        if error.errno not in NO_SUCH:
            raise
    return os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode), True


def _link(fd: int, path: str) -> None:
    """Name the file: only linkat(2) follows the link in /proc, and Python calls it when it is given a directory."""
    os.link(f"{UNNAMED}/{fd}", path, src_dir_fd=fd, follow_symlinks=True)


@contextmanager
def _refusing(path: str, code: str) -> Iterator[None]:
    """Errors of the operating system as Refused(`code`)."""
    try:
        yield
    except FileExistsError:
        said, hint = f"{path} is there already.", "Replace it with: --overwrite"
        raise Refused(code, said, state=NOTHING_CHANGED, hints=(hint,)) from None
    except OSError as error:
        said = f"{path} cannot be written: {error.strerror}."
        raise Refused(code, said, state=NOTHING_CHANGED) from error


def _may_be_made(path: str, *, overwrite: bool) -> None:
    """Raise OSError for what is there: root would put a file in the place of a device as well."""
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise FileExistsError(path)
    if not os.path.isfile(path):
        raise OSError(errno.EINVAL, "it is no plain file", path)
