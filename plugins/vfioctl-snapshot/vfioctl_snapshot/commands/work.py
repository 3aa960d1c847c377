"""What the verbs share: options, the snapshot that is meant, and how a draft becomes an operation. Prints nothing."""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, TypeVar

import click

from vfioctl.plugin import Finding, Message, OperationRequest, Question, Result, Severity, Unfinished, frozen
from vfioctl_snapshot import known as snapshots
from vfioctl_snapshot.create import Wish
from vfioctl_snapshot.look import Listed, glance, glances, look
from vfioctl_snapshot.names import unknown
from vfioctl_snapshot.naming import without_id
from vfioctl_snapshot.record import BOOT, Record, place
from vfioctl_snapshot.settings import PLUGIN, Settings, settings_of

if TYPE_CHECKING:
    from vfioctl.plugin import Call
    from vfioctl_snapshot.facts import Facts
    from vfioctl_snapshot.steps import Draft

    Command = TypeVar("Command", bound=Callable[..., Result])

PRIVATE = 0o700


def disks_only(command: Command) -> Command:
    return click.option("--disks-only", is_flag=True, help="Leave NVRAM and virtual TPM alone.")(command)


@frozen
class Subject:
    """The guest of a verb: what is known of it, and all its snapshots, oldest first."""

    facts: Facts
    settings: Settings
    known: tuple[Record, ...]

    def named(self, name: str) -> Record:
        """The snapshot `name`; what is named by a start may go without the id. Raises Refused("snapshot.unknown")."""
        found = [record for record in self.known if record.name == name]
        found = found or [one for one in self.known if one.origin == BOOT and without_id(one.name) == name]
        if len(found) == 1:
            return found[0]
        raise unknown(name, self.facts.name, [record.name for record in self.known])

    @property
    def files_seen(self) -> bool:
        return self.facts.files_seen

    @property
    def names(self) -> frozenset[str]:
        return frozenset(record.name for record in self.known) | frozenset(self.facts.records.damaged)


def subject(call: Call, guest: str, node: str, *, by_libvirt: bool = False) -> Subject:
    """The guest `guest` with every image around it; `by_libvirt`: or one that runs, as libvirt has it.

    Raises what libvirt answers, and NotRoot.
    """
    if not by_libvirt:
        call.need_root()
    return _subject(call, look(call, guest, node, by_libvirt=by_libvirt))


def seen(call: Call, guest: str, node: str) -> Subject:
    """The same for a look, also without root."""
    return _subject(call, glance(call, guest, node))


def seen_all(call: Call, listed: Listed) -> tuple[Subject, ...]:
    """These guests of a node, for a look."""
    return tuple(_subject(call, facts) for facts in glances(call, listed))


def _subject(call: Call, facts: Facts) -> Subject:
    settings = settings_of(call.host(), facts.name) if facts.files_seen else Settings()
    return Subject(facts, settings, snapshots.known(facts, settings.name))


def wish(name: str, operation: str, *, disks_only: bool, quiesce: bool = False) -> Wish:
    return Wish(name, operation, time.time(), disks_only, quiesce)


@frozen
class Doing:
    """How a draft is carried out: as which verb, what is asked, whether only foretold."""

    verb: str
    operation: str
    code: str = ""
    dry_run: bool = False
    finish: bool = False  # what was begun is finished, since its first half alone would be worse


def perform(call: Call, facts: Facts, draft: Draft, how: Doing) -> Result:
    """The result of the operation, with what the draft shows."""
    request = OperationRequest(
        plugin=PLUGIN, operation=f"snapshot {how.verb}", subject=f"guest:{facts.name}", key=str(uuid.uuid4()),
        proposals=draft.steps.made, unfinished=Unfinished.FINISH if how.finish else Unfinished.UNDO,
        contents={content.name: content.data for content in draft.contents}, findings=draft.findings,
        question=Question(how.code, draft.lost) if draft.lost else None, notes={"uuid": facts.uuid},
        id=how.operation,
    )  # fmt: skip
    with directory(call, facts.uuid) if facts.files_seen else nullcontext():
        result = call.perform(request, dry_run=how.dry_run)
    return Result(
        data={**result.data, "guest": facts.name, "uuid": facts.uuid, "node": facts.node, **draft.shown},
        messages=(*result.messages, *(Message(line) for line in draft.lost if how.dry_run)), errors=result.errors,
        exit_status=result.exit_status,
    )  # fmt: skip


@contextmanager
def directory(call: Call, guest: str) -> Iterator[None]:
    """The directory of the records of the domain `guest`, there while it is needed, and gone when it is empty.

    Its lock (flock(2)) is shared by all who need it; the last one alone may remove it. Where the operation goes on in a
    process of its own, or this one is interrupted, it stays.
    """
    path = call.paths.at(place(guest))
    held = _held(path)
    try:
        yield
        with suppress(OSError):  # it has records, or others need it
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rmdir(path)
    finally:
        os.close(held)


def _held(path: str) -> int:
    """The directory `path`, made where it is not there, and held: who removed it meanwhile did so before."""
    while True:
        os.makedirs(path, PRIVATE, exist_ok=True)
        with suppress(FileNotFoundError):
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            fcntl.flock(held, fcntl.LOCK_SH)
            if _is_still(held, path):
                return held
            os.close(held)


def _is_still(held: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(held), os.stat(path))
    except FileNotFoundError:
        return False


def blocks(findings: tuple[Finding, ...]) -> bool:
    return any(found.severity is Severity.BLOCK for found in findings)
