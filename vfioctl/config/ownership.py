"""Whether a file that root obeys could be changed by somebody else. Looks, never changes a mode or an owner."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from vfioctl.errors import Refused

GROUP, OTHERS = stat.S_IWGRP, stat.S_IWOTH
MOST_LINKS = 40  # as the kernel: then it says ELOOP


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
    """Why somebody else can change `path`, in words; None when nobody can.

    Each directory up to `root` counts, since who can write it can rename what is below; so does each symlink on the
    way, with the directories that it leads through. A path that does not exist is judged by its directories.
    """
    above = {*_parents(os.path.abspath(root)), *_parents(os.path.realpath(root))}
    steps = _way(os.path.join(os.getcwd(), path))
    return next((why for step, below in steps if step not in above and (why := _problem(step, below))), None)


def _parents(path: str) -> Iterator[str]:
    while (parent := os.path.dirname(path)) != path:
        yield parent
        path = parent


def _way(path: str) -> Iterator[tuple[str, str]]:
    """Every directory and link that the kernel passes on the way to `path`, as path_resolution(7) has it, and `path`.

    Each comes with what it is passed for, "" for the last one.
    """
    here, links = "/", 0
    rest = [*reversed(path.split("/"))]
    while rest:
        name = rest.pop()
        if name in ("", ".", ".."):
            here = os.path.dirname(here) if name == ".." else here
            continue
        entry = os.path.join(here, name)
        yield here, entry
        if (target := _target(entry)) is None:
            here = entry
            continue
        yield entry, ""
        if (links := links + 1) > MOST_LINKS:
            return  # a loop: nobody can open it
        here = "/" if target.startswith("/") else here
        rest += reversed(target.split("/"))
    yield here, ""


def _target(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


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
