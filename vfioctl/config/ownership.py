"""Whether a file that root obeys could be changed by somebody else. Looks, never changes a mode or an owner."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from vfioctl.errors import Refused

GROUP, OTHERS = stat.S_IWGRP, stat.S_IWOTH


def secure(path: str, root: str) -> None:
    """Raise Refused("config.writable") when somebody else can change `path` or a directory above it up to `root`."""
    if problem := writable_by_others(path, root):
        raise Refused(
            "config.writable",
            f"{path} is not used: {problem}.",
            state="Nothing was changed.",
            hints=(f"Make it root's alone, for example: chown root: {path} && chmod go-w {path}",),
        )


def writable_by_others(path: str, root: str) -> str | None:
    """Why somebody else can change `path`, in words; None when nobody can. Follows symlinks, which must be safe too.

    Each directory up to `root` counts, since who can write it can rename what is below. A path that does not exist
    is judged by its directories.
    """
    return next((problem for step, below in _chain(path, root) if (problem := _problem(step, below))), None)


def _chain(path: str, root: str) -> Iterator[tuple[str, str]]:
    """`path` and what is above it, as written and as resolved, each once, with what is below it on that way."""
    seen: set[tuple[str, str]] = set()
    for form in (os.path.abspath(path), os.path.realpath(path)):
        top = os.path.realpath(root) if form == os.path.realpath(path) else os.path.abspath(root)
        for step in _upwards(form, top):
            if step not in seen:
                seen.add(step)
                yield step


def _upwards(path: str, top: str) -> Iterator[tuple[str, str]]:
    below = ""
    while True:
        yield path, below
        parent = os.path.dirname(path)
        if path in (top, parent):
            return
        path, below = parent, path


def _problem(path: str, below: str) -> str | None:
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    uid = os.geteuid()
    if status.st_uid not in (0, uid):
        return f"{path} belongs to uid {status.st_uid}, not to root"
    if stat.S_ISLNK(status.st_mode):
        return None  # its own mode means nothing; where it leads is in the chain as well
    if status.st_mode & stat.S_ISVTX and below and os.path.lexists(below):
        return None  # like /tmp: others can neither rename nor remove what is below, whose owner is judged itself
    private_group = uid != 0 and status.st_uid == uid and status.st_gid == os.getegid()  # a host that is only simulated
    writable = status.st_mode & (OTHERS if private_group else GROUP | OTHERS)
    return f"{path} can be written by {'others' if writable & OTHERS else 'its group'}" if writable else None
