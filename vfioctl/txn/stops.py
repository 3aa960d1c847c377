"""How an operation is asked to stop whose process does more than that, as a server: by a file.

A signal would end the whole process, and finds no operation that runs in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.txn.journal import STOP

if TYPE_CHECKING:
    from vfioctl.paths import Paths


@contextmanager
def listening(paths: Paths, key: str) -> Iterator[Callable[[], bool]]:
    """Gives what says whether this process was asked to stop the operation `key`, whose lock it has."""
    path, mine = _path(paths, key), _line(os.getpid())
    files.make_private_dir(os.path.dirname(path))
    fd = files.create(path)
    try:
        files.write_all(fd, mine)
        yield lambda: os.fstat(fd).st_size > len(mine)
    finally:
        os.close(fd)
        files.remove(path)


def listens(paths: Paths, key: str, pid: int) -> bool:
    """Whether the process `pid` stops the operation `key` when it is asked to by `ask`."""
    return (files.read_text(_path(paths, key)) or "").startswith(_line(pid).decode())


def ask(paths: Paths, key: str) -> None:
    """Ask the process that listens to stop the operation `key`; nothing where that has just ended."""
    try:
        fd = files.open_plain(_path(paths, key), os.O_WRONLY | os.O_APPEND)
    except FileNotFoundError:
        return
    try:
        files.write_all(fd, b"stop\n")
    finally:
        os.close(fd)


def _path(paths: Paths, key: str) -> str:
    return f"{paths.boot_journal(key)}{STOP}"


def _line(pid: int) -> bytes:
    return b"%d\n" % pid
