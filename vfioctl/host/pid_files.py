"""Which process libvirt's own pid file names as the QEMU of a guest. Reads only, and no process's memory.

A command line proves nothing: whoever knows the UUID can have the same. libvirt writes /run/libvirt/qemu/NAME.pid once
QEMU has its number and removes it between `stopped` and `release`; QEMU holds a write lock on its first byte as long as
it lives (seen with libvirt 9.0: tests/libvirt/test_pid_file.py). A daemon that was killed leaves the file behind.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from vfioctl import files
from vfioctl.host import processes
from vfioctl.ownership import writable_by_others
from vfioctl.paths import Paths

PLACE, ENDING = "run/libvirt/qemu", ".pid"
OF_THE_DAEMON = "driver"  # driver.pid is the daemon's own, and keeps it from starting a guest of that name
NUMBER_SIZE = 32
CLOCK = 1.0  # seconds: the start time is in ticks, and the file's time has the precision of the kernel's timer
USERS = ("libvirt-qemu", "qemu")  # as distributions build libvirt
CONFIGURED = re.compile(r"""^\s*user\s*=\s*["']?\+?([^"'\s]+)""", re.MULTILINE)


def are_kept(paths: Paths) -> bool:
    """Whether libvirt has its pid files where we look; its sockets are beside them before the daemon's first start."""
    return os.path.isdir(paths.at(os.path.dirname(PLACE)))


def names(paths: Paths) -> Iterator[str]:
    """The names that have a pid file: guests, the daemon, and helpers of a guest such as virtiofsd."""
    try:
        entries = os.listdir(paths.at(PLACE))
    except OSError:
        return
    yield from (name.removesuffix(ENDING) for name in sorted(entries) if name.endswith(ENDING))


def process(paths: Paths, name: str) -> int | None:
    """The living process that the pid file of `name` proves; None when there is none.

    Proof is QEMU's lock. Where nobody holds it (an older libvirt), the process must be root's or the QEMU user's, and
    must not have been started after the file was written: its number is used again, and the file may be left over.
    """
    if not name or "/" in name or name == OF_THE_DAEMON:
        return None
    try:
        fd = _open(paths.at(PLACE, f"{name}{ENDING}"), paths.root)
    except (OSError, ValueError):  # there is none, or a name that no file has
        return None
    try:
        said = os.read(fd, NUMBER_SIZE).strip()
        pid = int(said) if said.isdigit() else 0
        return pid if pid and (_has_lock(fd, pid) or _fits(paths, pid, os.fstat(fd).st_mtime)) else None
    finally:
        os.close(fd)


def _open(path: str, root: str) -> int:
    if why := writable_by_others(path, root):
        raise PermissionError(why)
    return files.open_plain(path)


def _has_lock(fd: int, pid: int) -> bool:
    """Whether the kernel says that `pid` has the file locked for writing: only who may write it can (fcntl(2))."""
    import fcntl
    import struct

    layout = "hhqqi4x"  # struct flock on a 64-bit Linux: type, whence, start, length, pid
    asked = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
    kind, _, _, _, owner = struct.unpack(layout, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    return bool(kind == fcntl.F_WRLCK and owner == pid)


def _fits(paths: Paths, pid: int, written: float) -> bool:
    started = processes.start_time(paths, pid)
    if started is None or not processes.is_alive(paths, pid, started):
        return False
    return processes.epoch(started) <= written + CLOCK and can_be_qemu(paths, pid)


def can_be_qemu(paths: Paths, pid: int) -> bool:
    """Whether `pid` is root's or the QEMU user's, in each of its user ids: a setuid program keeps its caller's."""
    uids = processes.uids(paths, pid)
    return bool(uids) and (uids <= {0, os.geteuid()} or uids <= {0, os.geteuid(), *qemu_users(paths)})


def qemu_users(paths: Paths) -> frozenset[int]:
    """The ids of the users as which libvirt may run QEMU: the one in qemu.conf, and those of distributions."""
    configured = CONFIGURED.findall(_text(paths.at("etc/libvirt/qemu.conf")))
    wanted = frozenset((*configured, *USERS))
    rows = (line.split(":") for line in _text(paths.at("etc/passwd")).splitlines())
    known = (int(row[2]) for row in rows if len(row) > 2 and row[0] in wanted and row[2].isdecimal())  # noqa: PLR2004 -- name:x:uid
    return frozenset((*known, *(int(name) for name in configured if name.isdecimal())))


def _text(path: str) -> str:
    try:
        return files.read_text(path, follow=True) or ""
    except OSError:
        return ""
