"""A file of this host that a verb makes for its caller: under a name of its own first, then whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from vfioctl.plugin import Refused
from vfioctl_guest.names import NOTHING_CHANGED

PRIVATE = 0o600


@contextmanager
def whole_file(path: str, code: str, *, mode: int = PRIVATE, overwrite: bool) -> Iterator[int]:
    """A descriptor to write it with; `path` is it when the block ends well. Links are replaced, never followed.

    Raises Refused(`code`) where it is there and not to be replaced, or cannot be written; nothing is left then.
    """
    fresh = f"{path}.{os.getpid()}"
    try:
        _may_be_made(path, overwrite=overwrite)
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            try:
                yield fd
                os.fsync(fd)
            finally:
                os.close(fd)
            os.replace(fresh, path) if overwrite else os.link(fresh, path)
        finally:
            if os.path.exists(fresh):
                os.unlink(fresh)
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
