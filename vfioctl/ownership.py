"""Whether a file that root obeys could be changed by somebody else. Looks, never changes a mode or an owner."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vfioctl.errors import Refused

if TYPE_CHECKING:
    from vfioctl.paths import Paths

GROUP, OTHERS = stat.S_IWGRP, stat.S_IWOTH
MOST_LINKS = 40  # as the kernel: then it says ELOOP


def secure(path: str, root: str) -> None:
    """Raise Refused("config.writable") when somebody else can change `path` or a directory above it up to `root`."""
    if found := _first(path, root):
        raise _refusal("config.writable", f"{path} is not used", *found)


def secure_state(paths: Paths) -> None:
    """Raise Refused("state.writable") when somebody else can change our own state, up to the root.

    Its journals say what root does, and its undo.sh is run. Looked at whenever it is obeyed: about 40 lstat(2).
    """
    for top, *below in _state(paths):
        if found := _first(top, paths.root) or next(filter(None, map(_itself, below)), None):
            raise _refusal("state.writable", f"vfioctl does not obey its own records below {top}", *found)


def state_places(paths: Paths) -> tuple[str, ...]:
    """The directories of our own state."""
    return tuple(place for places in _state(paths) for place in places)


def _state(paths: Paths) -> tuple[tuple[str, ...], ...]:
    """What is of this boot and what is on disk, each with what lies in it."""
    boot = (os.path.dirname(paths.boot_journal("x")), paths.ledger, paths.stuck, paths.locks, paths.markers)
    disk = (os.path.dirname(paths.disk_journal("x")), os.path.dirname(paths.identity("x")))
    return (paths.run, *boot, *_guests(paths)), (paths.state, *disk)


def _guests(paths: Paths) -> list[str]:
    try:
        return [paths.guest_markers(guest) for guest in os.listdir(paths.markers)]
    except OSError:  # none yet, or somebody without root who only looks
        return []


def _refusal(code: str, what: str, culprit: str, why: str) -> Refused:
    return Refused(code, f"{what}: {why}.", state="Nothing was changed.", hints=(mended(culprit),))


def mended(culprit: str) -> str:
    """What to do about a file that somebody else can change."""
    return f"Make it root's alone, for example: chown root: {culprit} && chmod go-w {culprit}"


def writable_by_others(path: str, root: str) -> str | None:
    """Why somebody else can change `path`, in words; None when nobody can.

    Each directory up to `root` counts, since who can write it can rename what is below; so does each symlink on the
    way, with the directories that it leads through. A path that does not exist is judged by its directories.
    """
    found = culprit(path, root)
    return found[1] if found else None


def culprit(path: str, root: str) -> tuple[str, str] | None:
    """The first file or directory on the way to `path` that somebody else can change, and why, in words."""
    return _first(path, root)


def writable_itself(path: str) -> str | None:
    """Why somebody else can change the file or directory `path`, whatever stands above it."""
    return _problem(path, "")


def _itself(path: str) -> tuple[str, str] | None:
    why = writable_itself(path)
    return (path, why) if why else None


def _first(path: str, root: str) -> tuple[str, str] | None:
    """The first thing on the way to `path` that somebody else can change, and why."""
    above = {*_parents(os.path.abspath(root)), *_parents(os.path.realpath(root))}
    steps = ((step, below) for step, below in way(os.path.join(os.getcwd(), path)) if step not in above)
    return next(((step, why) for step, below in steps if (why := _problem(step, below))), None)


def writable_below(top: str, *, without: tuple[str, ...] = ()) -> str | None:
    """Why somebody else can change something in the directory `top`; links are judged by where they lead.

    Directories named in `without` are passed over.
    """
    waiting = [top]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if why := _problem(entry.path, "") or (entry.is_symlink() and writable_by_others(entry.path, "/")):
                    return why
                if entry.is_dir(follow_symlinks=False) and entry.name not in without:
                    waiting.append(entry.path)
    return None


def _parents(path: str) -> Iterator[str]:
    while (parent := os.path.dirname(path)) != path:
        yield parent
        path = parent


def way(path: str) -> Iterator[tuple[str, str]]:
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
    simulated = uid != 0 and status.st_uid == uid and status.st_gid == os.getegid()  # a user's own host, own group
    writable = status.st_mode & (OTHERS if status.st_gid == 0 or simulated else GROUP | OTHERS)
    return f"{path} can be written by {'others' if writable & OTHERS else 'its group'}" if writable else None
