"""file.copy: copies a file, whole and durable or not at all. Never overwrites another one."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vfioctl import files
from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.txn.step import Finding, Lifetime, Scope, State, Undo
from vfioctl.txn.steps.common import Budget, Primitive

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

CHUNK = 1 << 20


class FileCopy(Primitive):
    """{source, dest}: absolute paths on the host"""

    name = "file.copy"
    summary = "Copies a file, such as a guest's NVRAM beside its snapshot; removed again only when the start fails."
    undo_class = Undo.EXACT
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK

    def resource(self, params: Json) -> str:
        return f"file:{params['dest']}"

    def baseline(self, params: Json, host: Host) -> Json:
        return {"exists": os.path.lexists(host.paths.at(params["dest"]))}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        source, dest = (host.paths.at(proposal.params[name]) for name in ("source", "dest"))
        if not _is_plain(source):
            yield Finding("file.missing", f"There is no file {source} to be copied.")
        elif os.path.lexists(dest) and not _is_same(source, dest):
            yield Finding("file.exists", f"{dest} is there already, with another content.", hint="Rename it.")
        elif not os.path.isdir(os.path.dirname(dest)):
            yield Finding("file.missing", f"There is no directory {os.path.dirname(dest)} for a copy.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        source, dest = machine.paths.at(step.params["source"]), machine.paths.at(step.params["dest"])
        if os.path.lexists(dest):
            if _is_same(source, dest):
                return f"{dest} is there already"
            raise StepFailed("file.exists", f"{dest} is there already, with another content.")
        temporary = _temporary(dest)
        try:
            _copy(source, temporary, Budget(step.deadline))
            os.link(temporary, dest)
        except OSError as error:
            message = f"{source} could not be copied to {dest}: {error.strerror}."
            raise StepFailed("file.copy_failed", message) from error
        finally:
            files.remove(temporary)
        files.sync_dir(os.path.dirname(dest))
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        dest = machine.paths.at(step.params["dest"])
        if os.path.lexists(_temporary(dest)):
            return State.BETWEEN
        return State.BEFORE if os.path.lexists(dest) == step.baseline["exists"] else State.AFTER

    def undo(self, step: Step, machine: Machine) -> str | None:
        dest = machine.paths.at(step.params["dest"])
        files.remove(_temporary(dest))
        if step.baseline["exists"]:
            return f"{dest} was there before"
        if not os.path.lexists(dest):
            return f"{dest} is not there"
        files.remove(dest)
        files.sync_dir(os.path.dirname(dest))
        return None


def _is_plain(path: str) -> bool:
    """Whether it is a regular file, and no link: the path may come from a domain, and root does the copying."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _temporary(dest: str) -> str:
    """One name, so that what a crash leaves behind is found again."""
    directory, name = os.path.split(dest)
    return os.path.join(directory, f".{name[:200]}.vfioctl-new")


def _is_same(one: str, other: str) -> bool:
    if not os.path.isfile(other) or os.path.getsize(one) != os.path.getsize(other):
        return False
    with open(one, "rb") as first, open(other, "rb") as second:
        while chunk := first.read(CHUNK):
            if chunk != second.read(CHUNK):
                return False
    return True


def _copy(source: str, dest: str, budget: Budget) -> None:
    """Bytes, owner and permissions, not setuid. Raises OSError, DeadlineExceeded."""
    files.remove(dest)
    with open(source, "rb", opener=_open_plain) as reading:
        status = os.fstat(reading.fileno())
        fd = os.open(dest, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, files.PRIVATE)
        try:
            while chunk := reading.read(CHUNK):
                if not budget.left:
                    raise DeadlineExceeded("file.deadline", f"Copying {source} took too long.")
                files.write_all(fd, chunk)
            os.fchown(fd, status.st_uid, status.st_gid)
            os.fchmod(fd, status.st_mode & 0o777)
            os.fsync(fd)
        finally:
            os.close(fd)


def _open_plain(path: str, flags: int) -> int:
    """Whatever it has become since it was looked at: no link is followed, and a pipe does not wait for its writer."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return fd


KIND = FileCopy()
