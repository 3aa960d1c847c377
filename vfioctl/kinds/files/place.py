"""Where a file is to be made: its directory, held open, and names in it. No link in the last part is ever followed.

The way to the directory may lead over links: whoever could turn one of them is looked for first (`unsafe`).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.files import write_all
from vfioctl.findings import Finding
from vfioctl.kinds.files import mounted
from vfioctl.kinds.files.marks import mark, mark_of, removal
from vfioctl.ownership import culprit, mended
from vfioctl.txn.shape import LONGEST_NAME, Form, is_absolute
from vfioctl.txn.step import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Any, TypeVar

    from vfioctl.host.host import Host
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

    T = TypeVar("T")

NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
PRIVATE = 0o600
PERMISSIONS = re.compile("0[4-7][0-7][0-7]")  # the owner can read the mark, and nothing runs as another user


class Place:
    """The directory of `path`, open while it is used, and the name of the file in it. Raises OSError."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.directory, self.name = os.path.split(path)
        self.fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def status(self, name: str) -> os.stat_result | None:
        """What `name` is, itself and not where it leads; None when it is not there."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def is_plain(self, name: str) -> bool:
        status = self.status(name)
        return status is not None and stat.S_ISREG(status.st_mode)

    def is_same(self, one: str, other: str) -> bool:
        """Whether both names are links to one plain file."""
        first, second = self.status(one), self.status(other)
        return bool(first and second and stat.S_ISREG(first.st_mode) and os.path.samestat(first, second))

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor of the plain file `name`. Raises OSError, also for what is none."""
        fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.fd)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "It is no plain file", os.path.join(self.directory, name))
        return fd

    def create(self, name: str) -> int:
        """A descriptor of a new file `name`; what an earlier try has left there goes."""
        self.remove(name)
        return os.open(name, NEW, PRIVATE, dir_fd=self.fd)

    def author(self, name: str) -> str | None:
        """The operation that made the plain file `name`; "" for none, None where the file system keeps no marks."""
        try:
            fd = self.open(name)
        except OSError:
            return ""
        try:
            return mark_of(fd)
        finally:
            os.close(fd)

    def sha256(self) -> str:
        """The checksum of the plain file that has the name; "" where it is none."""
        try:
            fd = self.open(self.name)
        except OSError:
            return ""
        with open(fd, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def is_by(self, operation: str, temporary: str, sha256: str) -> bool:
        """Whether the file that has the name was made by `operation`, through the name `temporary`.

        Its mark proves it. Where the file system keeps none, it is that one while the temporary name is a link to the
        same file, or while it has the bytes with the checksum `sha256`: then nothing is lost with it.
        """
        author = self.author(self.name)
        if author is not None:
            return author == operation
        return self.is_same(temporary, self.name) or (bool(sha256) and self.sha256() == sha256)

    def write(self, name: str, content: bytes, *, mode: int, owner: tuple[int, int], author: str) -> None:
        """Make the file `name` whole and durable, with everything that is to be on it."""
        fd = self.create(name)
        try:
            if author:
                mark(fd, author)
            write_all(fd, content)
            dress(fd, mode=mode, owner=owner)
        finally:
            os.close(fd)

    def publish(self, temporary: str, *, code: str = "file.exists") -> None:
        """Give the file `temporary` its name unless somebody was faster: link(2) never replaces.

        Raises StepRefused: what has the name is somebody else's, and nothing of ours is left.
        """
        try:
            os.link(temporary, self.name, src_dir_fd=self.fd, dst_dir_fd=self.fd, follow_symlinks=False)
        except FileExistsError as error:
            self.remove(temporary)
            said = f"{self.path} was made by somebody else at this moment."
            raise StepRefused(code, said, hints=(removal(self.path),)) from error
        self.remove(temporary)
        os.fsync(self.fd)

    def replace(self, temporary: str) -> None:
        """The same over what is there."""
        os.rename(temporary, self.name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        os.fsync(self.fd)

    def remove(self, name: str) -> None:
        """Remove the file `name` when it is there."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            return

    def sync(self) -> None:
        os.fsync(self.fd)

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)


def bounded(
    step: Step, machine: Machine, work: Callable[[Place], T], *, nowhere: Callable[[], T] | None = None
) -> T:
    """What `work` returns in the step's time: the directory of its `path` may be on a share whose server is gone.

    `nowhere` says what is returned where there is no directory; without it that is refused.
    """
    path = machine.paths.at(step.params["path"])

    def inside() -> T:
        try:
            place = Place(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            if nowhere:
                return nowhere()
            raise StepRefused("file.missing", f"There is no directory for {path}.") from error
        with place:
            return work(place)

    return machine.reach.ask(path, inside, deadline=step.deadline)


def noted(path: str, host: Host) -> Json:
    """For a baseline: the directory of `path`, by which `state` knows it again."""
    return host.ask(path, lambda: mounted.noted(os.path.dirname(path)))


def state(step: Step, machine: Machine, look: Callable[[Place], State]) -> State:
    """What `look` says of the step's file. Raises StepFailed where its file system may not be mounted."""
    directory = os.path.dirname(machine.paths.at(step.params["path"]))

    def inside(there: Place) -> State:
        return mounted.sure(look(there), step, directory)

    return State(bounded(step, machine, inside, nowhere=lambda: mounted.sure(State.BEFORE, step, directory)))


def must_be_free(place: Place) -> None:
    """Raise StepRefused("file.exists") where something has the name."""
    if place.status(place.name):
        said = f"{place.path} was made by somebody else since this was planned."
        raise StepRefused("file.exists", said, hints=(removal(place.path),))


def dress(fd: int, *, mode: int, owner: tuple[int, int]) -> None:
    """Owner (-1 keeps it), then permissions, which a change of owner may take away; and all of it durable."""
    if owner != (-1, -1):
        os.fchown(fd, *owner)
    os.fchmod(fd, mode)
    os.fsync(fd)


def findings(path: str, host: Host, *, theirs: bool = False, made: bool = False) -> Iterator[Finding]:
    """What speaks against making the file at `path` (below the root), its own name apart.

    `theirs`: its directory may be another user's, who can do there what they like, but turn the way to it nowhere.
    `made`: that is made where it is not there, so that the way to it is judged.
    """
    if not made and not host.ask(path, lambda: os.path.isdir(os.path.dirname(path))):
        yield Finding("file.missing", f"There is no directory {os.path.dirname(path)} for {path}.")
    elif found := host.ask(path, lambda: culprit(_judged(path, theirs=theirs), host.paths.root)):
        yield Finding("file.unsafe", f"{path} is not written: {found[1]}.", hint=f"{mended(found[0])}.")


def must_be_safe(path: str, root: str, *, theirs: bool = False) -> None:
    """Raise StepRefused("file.unsafe") when somebody else could lead the way to `path` to another place."""
    if found := culprit(_judged(path, theirs=theirs), root):
        raise StepRefused("file.unsafe", f"{path} is not written: {found[1]}.", hints=(f"{mended(found[0])}.",))


def _judged(path: str, *, theirs: bool) -> str:
    """Down to where the way to `path` must be root's."""
    directory = os.path.dirname(path)
    return os.path.dirname(directory) if theirs else directory


def _is_file(value: Any) -> bool:
    return is_absolute(value) and 0 < len(os.fsencode(os.path.basename(value))) <= LONGEST_NAME


def _is_mode(value: Any) -> bool:
    return isinstance(value, str) and PERMISSIONS.fullmatch(value) is not None


FILE = Form('the absolute path of a file without ".."', _is_file)
MODE = Form('permissions that let the owner read, as "0640"', _is_mode)
