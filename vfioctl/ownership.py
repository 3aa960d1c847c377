"""Whether a file that root obeys could be changed by somebody else. Looks, never changes a mode or an owner.

Write permission of the group is never root's alone: whom an access control list lets write stands there too, since its
mask is what the group's bits show (acl(5), "CORRESPONDENCE BETWEEN ACL ENTRIES AND FILE PERMISSION BITS").
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused

if TYPE_CHECKING:
    from vfioctl.paths import Paths

GROUP, OTHERS = stat.S_IWGRP, stat.S_IWOTH
MOST_LINKS = 40  # as the kernel: then it says ELOOP


def secure(path: str, root: str) -> None:
    """Raise Refused("config.writable") when somebody else can change `path` or a directory above it up to `root`."""
    if found := _first(path, root):
        raise _refusal("config.writable", f"{path} is not used", found)


def secure_root(paths: Paths) -> None:
    """Raise Refused("root.writable") when somebody else can change the root directory of `paths` or a program in it."""
    places = tuple(filter(os.path.isdir, paths.programs.split(":")))
    ways = (_first(place, "/") for place in (paths.root, *places))
    if found := next(filter(None, (*ways, *map(culprit_below, places))), None):
        what = f"Root does not work on the host below {paths.root}"
        raise _refusal("root.writable", what, found, "Work on it as its owner, without sudo.")


def secure_state(paths: Paths) -> None:
    """Raise Refused("state.writable") when somebody else can change our own state, up to the root.

    Its journals say what root does, and its undo.sh is run. Looked at whenever it is obeyed: about 40 lstat(2). Each
    record is judged as it is opened, by `files.open_plain`.
    """
    for top, *below in _state(paths):
        if found := _first(top, paths.root) or next(filter(None, map(_itself, below)), None):
            raise _refusal("state.writable", f"vfioctl does not obey its own records below {top}", found)


def state_places(paths: Paths) -> tuple[str, ...]:
    """The directories of our own state, and what is run of it."""
    return tuple(place for places in _state(paths) for place in places)


def _state(paths: Paths) -> tuple[tuple[str, ...], ...]:
    """What is of this boot and what is on disk, each with what lies in it."""
    boot = (os.path.dirname(paths.boot_journal("x")), paths.ledger, paths.stuck, paths.locks, paths.markers)
    disk = (os.path.dirname(paths.disk_journal("x")), os.path.dirname(paths.identity("x")))
    return (paths.run, *boot, *_guests(paths)), (paths.state, *disk)


def _guests(paths: Paths) -> list[str]:
    try:
        marks = [paths.guest_markers(guest) for guest in os.listdir(paths.markers)]
    except OSError:  # none yet, or somebody without root who only looks
        return []
    return [*marks, *(os.path.join(directory, "undo.sh") for directory in marks)]


def _refusal(code: str, what: str, found: tuple[str, str], otherwise: str = "") -> Refused:
    culprit, why = found
    return Refused(code, f"{what}: {why}.", state="Nothing was changed.", hints=(mended(culprit, otherwise),))


def mended(culprit: str, otherwise: str = "") -> str:
    """What to do about a file that others can change; `chmod go-w` ends what an access control list gives, too.

    One of another user may be meant to be theirs: then `otherwise`, where it is given.
    """
    from vfioctl.shell import word

    file = word(culprit)
    owner = _owner(culprit)
    if owner is None:
        return f"Put something of root's in the place of {file}"
    if owner in (0, os.geteuid()):
        return f"Take the write permission away: chmod go-w {file}"
    return otherwise or f"Make it root's alone, for example: chown root: {file} && chmod go-w {file}"


def is_own(path: str) -> bool:
    """Whether `path` belongs to root or to this user: then only its permissions are wrong."""
    return _owner(path) in (0, os.geteuid())


def _owner(path: str) -> int | None:
    try:
        return os.lstat(path).st_uid
    except OSError:
        return None


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


def writable_open(fd: int, path: str) -> str | None:
    """The same of the open file `fd`, which is called `path`."""
    return _judgement(path, os.fstat(fd))


def _itself(path: str) -> tuple[str, str] | None:
    why = writable_itself(path)
    return (path, why) if why else None


def _first(path: str, root: str) -> tuple[str, str] | None:
    """The first thing on the way to `path` that somebody else can change, and why."""
    above = {*_parents(os.path.abspath(root)), *_parents(os.path.realpath(root))}
    steps = ((step, below) for step, below in way(_whole(path)) if step not in above)
    return next(((step, why) for step, below in steps if (why := _problem(step, below))), None)


def _whole(path: str) -> str:
    """`path` from the root on, as it is written. A directory that we stand in may be gone."""
    return path if os.path.isabs(path) else os.path.join(os.getcwd(), path)


def writable_below(top: str, *, without: tuple[str, ...] = ()) -> str | None:
    """Why somebody else can change something in the directory `top`, in words; None when nobody can.

    A link is judged by where it leads, and a directory that it leads to is looked through as well. Directories named in
    `without` are passed over.
    """
    found = culprit_below(top, without=without)
    return found[1] if found else None


def culprit_below(top: str, *, without: tuple[str, ...] = ()) -> tuple[str, str] | None:
    """The first thing in the directory `top` that somebody else can change, and why, in words."""
    waiting, linked = [top], {os.path.realpath(top)}
    while waiting:
        for entry in _entries(waiting.pop()):
            link = entry.is_symlink()
            if found := _first(entry.path, "/") if link else _entry(entry):
                return found
            if not entry.is_dir() or entry.name in without:
                continue
            if link:
                if (real := os.path.realpath(entry.path)) in linked:
                    continue
                linked.add(real)
            waiting.append(entry.path)
    return None


def _entry(entry: os.DirEntry[str]) -> tuple[str, str] | None:
    try:
        why = _judgement(entry.path, entry.stat(follow_symlinks=False))
    except FileNotFoundError:
        return None
    return (entry.path, why) if why else None


def _entries(directory: str) -> list[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        return list(entries)


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
    except OSError as error:  # a mount of another user is closed to root too
        return f"{path} cannot be looked at ({error.strerror})"
    return _judgement(path, status, below)


def _judgement(path: str, status: os.stat_result, below: str = "") -> str | None:
    if status.st_uid not in (0, os.geteuid()):
        return f"{path} belongs to uid {status.st_uid}, not to root"
    if stat.S_ISLNK(status.st_mode):
        return None  # its own mode means nothing; where it leads is in the chain as well
    if status.st_mode & stat.S_ISVTX and below and os.path.lexists(below):
        return None  # like /tmp: others can neither rename nor remove what is below, whose owner is judged itself
    writers = _writers(path, status)
    return f"{path} can be written by {writers}" if writers else None


def _writers(path: str, status: os.stat_result) -> str:
    """Who but its owner can write `path`, in words; "" when nobody can."""
    if status.st_mode & OTHERS:
        return "others"
    if not status.st_mode & GROUP:
        return ""
    if _has_access_list(path):
        return "others through an access control list"
    uid = os.geteuid()
    simulated = uid != 0 and status.st_uid == uid and status.st_gid == os.getegid()  # a user's own host, own group
    return "" if simulated else "its group"


def _has_access_list(path: str) -> bool:
    """Whether one is kept with `path`, of POSIX or NFS, as an attribute of the system (xattr(7))."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return False
    return any(name.startswith("system.") and not name.endswith("default") for name in names)
