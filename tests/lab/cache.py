"""Where the lab keeps what it builds: directories named by the hash of what shaped them, made whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator

from tests.lab.errors import CannotRun, LabError

PART = ".part"
GIB = 2**30


def key(*parts: str | bytes) -> str:
    """A short hash of all of them."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:16]


def contents(*paths: str) -> Iterator[bytes]:
    """Name, mode and bytes of every file at or below each path, for a key."""
    for path in paths:
        for file in sorted(_files(path)):
            with open(file, "rb") as stream:
                mode = os.fstat(stream.fileno()).st_mode & 0o111
                yield f"{os.path.relpath(file, os.path.dirname(path))} {bool(mode)}".encode()
                yield stream.read()


def _files(path: str) -> Iterable[str]:
    if os.path.isfile(path):
        return [path]
    found = (os.path.join(base, name) for base, _, names in os.walk(path) for name in names)
    return [file for file in found if "__pycache__" not in file]


class Cache:
    """One directory, locked by whoever uses it: the lab never runs twice at once."""

    def __init__(self, directory: str) -> None:
        self.directory = os.path.abspath(directory)

    @contextlib.contextmanager
    def locked(self, wait: Callable[[], None]) -> Iterator[None]:
        """Hold the lock; `wait` is called once if another run has it."""
        os.makedirs(self.directory, exist_ok=True)
        with open(self.path("lock"), "a", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                wait()
                fcntl.flock(lock, fcntl.LOCK_EX)
            self._sweep()
            yield

    def path(self, *names: str) -> str:
        return os.path.join(self.directory, *names)

    def place(self, name: str) -> str:
        """The directory `name` in it, which nothing removes."""
        os.makedirs(self.path(name), exist_ok=True)
        return self.path(name)

    def made(self, name: str, make: Callable[[str], None], *, needs_gib: float, within: str = "") -> str:
        """The directory `name`; if it is not there, `make` fills it. Older ones of the same kind go.

        What is built on another lies `within` its directory, and so goes with it.
        """
        parent = within or self.directory
        target = os.path.join(parent, name)
        if os.path.isdir(target):
            os.utime(target)
            return target
        kind = name.partition("-")[0]
        _prune(parent, kind, keep=1)
        self.needs_space(needs_gib, f"the {kind} of the lab")
        part = target + PART
        os.makedirs(part)
        make(part)
        os.rename(part, target)
        return target

    def needs_space(self, gib: float, what: str) -> None:
        free = shutil.disk_usage(self.directory).free / GIB
        if free < gib:
            raise CannotRun(
                f"There is no space for {what}: it needs {gib:.1f} GiB in {self.directory}, {free:.1f} are free."
                " Make space, or name another directory in VFIOCTL_CACHE."
            )

    def _sweep(self) -> None:
        """What a run that was killed had begun."""
        for base, names, _ in os.walk(self.directory):
            for name in [name for name in names if name.endswith(PART)]:
                _remove(os.path.join(base, name))
                names.remove(name)


def _remove(directory: str) -> None:
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        if any(line.split()[1].startswith(f"{directory}/") for line in mounts):
            raise LabError(f"Something is mounted below {directory}; unmount it, then run again.")
    shutil.rmtree(directory)


def _prune(parent: str, kind: str, *, keep: int) -> None:
    olds = [os.path.join(parent, name) for name in os.listdir(parent) if name.startswith(f"{kind}-")]
    olds.sort(key=os.path.getmtime, reverse=True)
    for old in olds[keep:]:
        _remove(old)
