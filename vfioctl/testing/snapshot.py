"""What a simulated machine looks like from outside, taken with plain file operations, and how two looks differ."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from vfioctl.testing.control import Control

Snapshot = dict[str, str]

# Depend on which processes happen to run, not on what a hand-off changed.
VOLATILE = ("sys/module/*/refcnt", "sys/dev/char*", "run/libvirt*")
LARGE = 1 << 20  # what is larger is a disk, and told by its size
BLOCK = 1 << 16  # bytes; a read that gives less has come to the end of a file
FILES = ("etc", "run", "var/lib", "var/log", "usr/lib")


def take(root: str | os.PathLike[str], *, files: Iterable[str] = FILES) -> Snapshot:
    """Every file, link, node, unit, session and inhibitor of the machine below `root`, as one line each.

    `files` are the plain directories to look into as well. Units and sessions come from the machine, not systemctl.
    """
    base = os.path.abspath(root)
    seen: Snapshot = {}
    for name in ("sys", "dev", *files):
        for directory, directories, names in os.walk(os.path.join(base, name) + "/"):
            for entry in (*directories, *names):
                path = os.path.join(directory, entry)
                with suppress(FileNotFoundError):  # gone since the directory was read, as the oldest record may
                    seen[path.removeprefix(f"{base}/")] = _look(path)
    machine = Control(base)
    seen |= {f"unit {name}": unit["active"] for name, unit in machine.units().items() if not unit["transient"]}
    seen |= {f"session {name}": f"{one['user']} {one['klass']}" for name, one in machine.sessions().items()}
    seen |= {f"inhibitor {one['who']}": one["what"] for one in machine.inhibitors()}
    return {name: value for name, value in seen.items() if not _matches(name, VOLATILE)}


def _look(path: str) -> str:
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFLNK:
        return f"link {os.readlink(path)}"
    if kind == stat.S_IFCHR:
        return f"node {os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    mode = f"{stat.S_IMODE(status.st_mode):o}"
    if kind != stat.S_IFREG or not status.st_mode & stat.S_IRUSR:
        return f"{stat.filemode(status.st_mode)[0]} {mode}"
    if status.st_size >= LARGE:
        return f"file {mode} {status.st_size} bytes"
    try:
        return f"file {mode} {_content(path)!r}"
    except OSError as error:
        return f"unreadable {error.strerror}"


def _content(path: str) -> bytes:
    """Each call is one of the serving process: no look at the file first, and none for an end that is known."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = part = os.read(fd, BLOCK)
        while len(part) == BLOCK:
            part = os.read(fd, BLOCK)
            content += part
        return content
    finally:
        os.close(fd)


def difference(before: Snapshot, after: Snapshot, *, allowed: Iterable[str] = ()) -> tuple[str, ...]:
    """One line for each thing that is not as it was; things that match a pattern in `allowed` may differ."""
    patterns = tuple(allowed)
    return tuple(
        f"{name}: {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) and not _matches(name, patterns)
    )


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
