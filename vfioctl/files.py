"""Durable files, locks, and the one way to open and read a file. Atomic or not at all; knows nothing of devices.

A file is judged before it is opened: to open a FIFO waits for its other end, and to open a device may do something.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from contextlib import suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Busy, Irregular
from vfioctl.wait import Backoff

if TYPE_CHECKING:
    from typing import Any

PRIVATE = 0o600
PRIVATE_DIR = 0o700
PARENT_DIR = 0o755
LARGEST = 256 << 20  # bytes that are read of one file
CHUNK = 1 << 16
UNFINISHED = ".new"  # what is written beside a file, to take its place
KINDS = (
    (stat.S_ISREG, ""), (stat.S_ISLNK, "it is one of the symbolic links, which are not followed here"),
    (stat.S_ISDIR, "it is a directory"), (stat.S_ISFIFO, "it is a FIFO"), (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISCHR, "it is a character device"), (stat.S_ISBLK, "it is a block device"),
)  # fmt: skip
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)
LONGEST_PAUSE = 0.05  # between two looks at a lock: who has waited long must not be worse off than who comes now


def make_private_dir(path: str, *, mode: int = PRIVATE_DIR) -> None:
    """Create `path` and its missing parents; an existing directory keeps its mode.

    A parent can be written by its owner alone and read by all, whatever the umask of a daemon is: root runs what stands
    below, and `plan` without root reads it.
    """
    try:
        os.mkdir(path, mode)
        os.chmod(path, mode)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    except FileNotFoundError:
        make_private_dir(os.path.dirname(path), mode=PARENT_DIR)
        make_private_dir(path, mode=mode)


def sync_dir(path: str) -> None:
    """Make entries of the directory `path` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def atomic_write(
    path: str, text: str, *, mode: int = PRIVATE, owner: tuple[int, int] = (-1, -1), durable: bool = True
) -> None:  # fmt: skip
    """Replace `path` by `text`: durable and whole after a power cut, or as it was. `owner`: uid and gid, -1 for ours.

    Write, fsync, rename, fsync of the directory: without the two syncs ext4 lost the file on a power cut. What lies in
    /run goes with the boot and is not `durable`: it is whole for every other process, and that is all.
    Raises OSError; the old file is untouched then.
    """
    directory = os.path.dirname(path)
    temporary = os.path.join(directory, f"{_unfinished(path)}{os.getpid()}{UNFINISHED}")
    try:
        fd = create(temporary, mode)
    except OSError as error:
        error.filename = path  # nobody knows the temporary one
        raise
    try:
        write_all(fd, text.encode("utf-8", "surrogateescape"))
        os.fchown(fd, *owner)
        os.fchmod(fd, mode)  # the umask of a daemon is not ours
        if durable:
            os.fsync(fd)
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    finally:
        os.close(fd)
    if durable:
        sync_dir(directory)


def _unfinished(path: str) -> str:
    return f".{os.path.basename(path)[:50]}."


def remove_unfinished(path: str) -> None:
    """Remove what `atomic_write` of `path` left where its process was killed. Only for who alone may write it."""
    directory, begin = os.path.dirname(path), _unfinished(path)
    with suppress(FileNotFoundError, NotADirectoryError):
        for name in os.listdir(directory):
            if name.startswith(begin) and name.endswith(UNFINISHED) and name[len(begin) : -len(UNFINISHED)].isdigit():
                remove(os.path.join(directory, name))


def create(path: str, mode: int = PRIVATE) -> int:
    """A descriptor to write a new file `path` with; what is left there of a crash, or was planted, goes. OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, mode)
    except FileExistsError:
        remove(path)
        return os.open(path, flags, mode)


def write_new(path: str, text: str, *, mode: int = PRIVATE) -> None:
    """Make the file `path` with `text`, whole or not at all. FileExistsError where something is, a link too."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        write_all(fd, text.encode("utf-8", "surrogateescape"))
        os.fsync(fd)
    except BaseException:
        remove(path)
        raise
    finally:
        os.close(fd)


def append_durable(fd: int, line: str) -> None:
    """Append `line` and a newline to `fd` in one write, and sync it. A torn line can only be the last one."""
    write_all(fd, line.encode() + b"\n")
    os.fdatasync(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte of `data`; raises OSError (ENOSPC among them)."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def open_plain(path: str, flags: int = os.O_RDONLY, *, follow: bool = False, foreign: bool = False) -> int:
    """A descriptor of the plain file `path`, which is made where `flags` say so; it is never waited for.

    `follow` links where an administrator may keep a file elsewhere. Root takes what is somebody else's only where it is
    `foreign`, which is text to show and nothing to obey. Raises Irregular, OSError.
    """
    ours = not (follow or foreign)
    way = flags | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        _judge(path, os.stat(path, follow_symlinks=follow), ours=ours)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    fd = os.open(path, way, PRIVATE)
    try:
        _judge(path, os.fstat(fd), ours=ours)  # it may have become another one since
    except Irregular:
        os.close(fd)
        raise
    return fd


def _judge(path: str, status: os.stat_result, *, ours: bool) -> None:
    """Raise Irregular for what is no plain file, or not for root to trust."""
    if not stat.S_ISREG(status.st_mode):
        raise Irregular(path, next((what for test, what in KINDS if test(status.st_mode)), "it is no plain file"))
    if not ours or os.geteuid() != 0:
        return
    if status.st_uid != 0:
        raise Irregular(path, f"it belongs to uid {status.st_uid}, not to root")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):  # see vfioctl/ownership.py about the group
        raise Irregular(path, "it can be written by others")


def read_bytes(path: str, *, follow: bool = False, foreign: bool = False, limit: int = LARGEST) -> bytes:
    """The bytes of the plain file `path`. Raises Irregular, also for one of more than `limit` bytes, and OSError."""
    fd = open_plain(path, follow=follow, foreign=foreign)
    try:
        chunks, size = [], 0
        while chunk := os.read(fd, CHUNK):
            chunks.append(chunk)
            if (size := size + len(chunk)) > limit:
                raise Irregular(path, f"it is larger than {limit >> 10} KiB", large=True)
    finally:
        os.close(fd)
    return b"".join(chunks)


def read_text(path: str, *, follow: bool = False) -> str | None:
    """The text of `path`, or None when it is not there. Raises as `read_bytes`."""
    try:
        return read_bytes(path, follow=follow).decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_json(path: str) -> Any:
    """The JSON in `path`, or None when it is not there. Raises ValueError when it is malformed."""
    text = read_text(path)
    try:
        return None if text is None else json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def as_json(value: Any) -> str:
    """`value` as `write_json` writes it."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True) + "\n"


def write_json(path: str, value: Any, *, mode: int = PRIVATE, durable: bool = True) -> None:
    """Replace `path` by `value` as JSON, as `atomic_write` does; parents are made, for whoever may read the file."""
    text = as_json(value)
    try:
        atomic_write(path, text, mode=mode, durable=durable)
    except FileNotFoundError:
        make_private_dir(os.path.dirname(path), mode=PARENT_DIR if mode & stat.S_IROTH else PRIVATE_DIR)
        atomic_write(path, text, mode=mode, durable=durable)


def remove(path: str) -> None:
    """Remove the file `path` when it is there."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return


def renew_lock(fd: int) -> None:
    """Hold the flock of `fd` through a new open file of the same number, which no child shares.

    For a child that is stuck in the kernel for ever: it would keep the lock with it.
    """
    fresh = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
        fcntl.flock(fresh, fcntl.LOCK_EX)
        os.dup2(fresh, fd, inheritable=False)
    finally:
        os.close(fresh)


class Lock:
    """An flock on a file of ours, held until `release` and by every child that inherits its descriptor.

    The lock belongs to the open file, so an orphaned helper program still holds it: `recover` cannot run beside it.
    The file of a `passing` one goes when nobody holds it any more: its name may never come again.
    """

    def __init__(self, path: str, what: str = "It is used", *, passing: bool = False) -> None:
        self.path = path
        self.what = what  # happens to what is locked: the sentence goes on with "by process N"
        self.passing = passing
        self.alone = False  # there is no file: nobody else can have the lock
        self.fd = -1

    def acquire(self, *, deadline: float = 0.0) -> None:
        """Take the lock within `deadline` seconds. Raises Busy naming the pid that wrote it."""
        try:
            fd = self._open()
        except FileNotFoundError:
            make_private_dir(os.path.dirname(self.path))
            fd = self._open()
        for _ in Backoff(deadline, longest=LONGEST_PAUSE):
            if self._try(fd):
                if not self.passing or self._is_named(fd):
                    self.fd = fd
                    return
                os.close(fd)  # its file was removed meanwhile: who comes now locks another one
                fd = self._open()
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
        os.close(fd)
        raise Busy(
            f"{self.what} by process {holder or 'unknown'}.",
            hints=("See what it does with: vfioctl status",),
        )

    def _open(self) -> int:
        """A descriptor of the lock's file. Where a passing one cannot be made (/run is full), one of no file at all.

        What is on its way home must not wait for room; as nobody else can make the file either, nobody has it.
        """
        try:
            return open_plain(self.path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            if not self.passing or error.errno not in NO_ROOM:
                raise
        self.alone = True
        return os.memfd_create("vfioctl-lock")

    def _try(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            return False
        self.sign(fd)
        return True

    def sign(self, fd: int = -1) -> None:
        """Write our pid into the file: into that of `fd`, or of the lock that another process has left to us."""
        signed = fd if fd >= 0 else self.fd
        try:
            os.ftruncate(signed, 0)
            os.pwrite(signed, str(os.getpid()).encode(), 0)
        except OSError:
            return  # the pid is for messages only: a full disk must not keep a card from coming home

    def is_held_elsewhere(self) -> bool:
        """Whether another open file holds the lock now."""
        try:
            self.acquire()
        except (Busy, FileNotFoundError):
            return True
        self.release()
        return False

    def _is_named(self, fd: int) -> bool:
        """Whether the file of `fd` still has our name, or never had one."""
        try:
            return self.alone or os.path.samestat(os.fstat(fd), os.lstat(self.path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            if self.passing:
                self._remove()

    def _remove(self) -> None:
        """Remove the file unless somebody holds it: another hand-off, or a program that has inherited our lock.

        Only who holds it removes it, so nobody who holds it loses it; who waits for it sees that it is gone.
        """
        try:
            fd = open_plain(self.path, os.O_RDWR)
        except OSError:
            return  # somebody else was faster, or it is for somebody else to judge
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._is_named(fd):
                remove(self.path)
        except OSError:
            return
        finally:
            os.close(fd)

    def __enter__(self) -> Lock:
        if self.fd < 0:
            self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
