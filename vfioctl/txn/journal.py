"""The journal of one operation: append-only JSON lines, the intent before the act and the done or refused after it.

Two files: boot entries in /run (a reboot resets the hardware, so they may go with it and are not synced), disk entries
in /var/lib, synced, with the boot id. Asks nothing and changes nothing else; what is true the machine must say.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum

from vfioctl import __version__, files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError, reason
from vfioctl.frozen import asdict, field, frozen
from vfioctl.paths import Paths
from vfioctl.txn.plan import READABLE_SCHEMAS, SCHEMA, Action, Plan
from vfioctl.txn.step import Lifetime, Step

if TYPE_CHECKING:
    from typing import Any

ANY = Exception  # a damaged file may make anything of what reads it; none of it is a bug in the reader
SUFFIX = ".jsonl"
PROGRESS = ".progress"  # beside the journal of this boot, while a long step runs
STOP = ".stop"  # beside it as well, where the process of an operation does more than that; see stops.py
MOST_SHOWN = 1 << 20  # bytes of each end of a damaged file
WHAT = ("intent", "done", "refused", "failed")


class Standing(StrEnum):
    """How far an operation is."""

    QUEUED = "queued"  # committed for a process that has not begun yet
    APPLYING = "applying"
    HELD = "given"
    UNDOING = "undoing"
    RETURNING = "returning"


@frozen
class Moment:
    """What happens to a step: `what` is intent, done, or refused for what changed nothing; `at` the monotonic clock.

    That one counts in seconds, the same for all processes. Between them comes "progress", which no journal keeps:
    `done` of `total` in `unit`; total is 0 where nobody knows it. "failed" is what a recovery could not do.
    """

    what: str
    action: Action
    step: str
    note: str = ""
    at: float = 0.0
    done: int = 0
    total: int = 0
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.action} {self.step}"


@frozen
class Story:
    """A journal as read. `torn` tells that the last line was cut, which a crash may do at any time."""

    plan: Plan
    boot_id: str
    started: float
    version: str
    standing: Standing
    records: tuple[Moment, ...] = ()
    torn: bool = False
    given: bool = False  # whether it was ever held, whatever came after
    extra: Mapping[str, Any] = field(default_factory=dict)

    def begun(self, action: Action) -> tuple[str, ...]:
        """The ids of the steps whose `action` was intended and not refused after that, in order."""
        begun: list[str] = []
        for record in self._of(action):
            if record.what == "intent":
                begun.append(record.step)
            elif record.what == "refused" and record.step in begun:
                begun.reverse()
                begun.remove(record.step)  # the last of its intents: an earlier one may have done something
                begun.reverse()
        return tuple(begun)

    def finished(self, action: Action) -> frozenset[str]:
        """The ids of the steps whose `action` was done."""
        return frozenset(record.step for record in self._of(action) if record.what == "done")

    def refused(self, action: Action) -> frozenset[str]:
        """The ids of the steps whose `action` never changed anything: each time it was intended it was refused."""
        refused = {record.step for record in self._of(action) if record.what == "refused"}
        return frozenset(refused.difference(self.begun(action)))

    @property
    def failures(self) -> tuple[Moment, ...]:
        """What a recovery came to the end of and could not do, and nobody has done since: one record a step."""
        last = {record.step: record for record in self.records if record.what in ("failed", "done")}
        return tuple(record for record in last.values() if record.what == "failed")

    def _of(self, action: Action) -> Iterator[Moment]:
        return (record for record in self.records if record.action == action)


def quiet(_moment: Moment) -> None:
    """The observer that does nothing."""


class Journal:
    """The two files of one operation, open for appending. `observe` gets each moment once it is written."""

    def __init__(self, paths: Paths, uuid: str, *, observe: Callable[[Moment], None] = quiet) -> None:
        self.boot_path = paths.boot_journal(uuid)
        self.disk_path = paths.disk_journal(uuid)
        self.observe = observe
        self.lenient = False
        self.lost = 0
        self._fds: dict[Lifetime, int] = {}

    def begin(self, plan: Plan, boot_id: str, **extra: Any) -> None:
        """Commit: both headers with the whole plan, the disk one durable before anything is touched."""
        header = json.dumps({
            "plan": plan.to_json(), "boot_id": boot_id, "started": time.time(), "version": __version__,
            "pid": os.getpid(), "extra": extra,
        })  # fmt: skip
        files.make_private_dir(os.path.dirname(self.disk_path))
        files.atomic_write(self.disk_path, header + "\n")
        files.make_private_dir(os.path.dirname(self.boot_path))
        files.atomic_write(self.boot_path, header + "\n", durable=False)
        self._open()

    def reopen(self, *, lenient: bool = True) -> None:
        """Open both files to go on; `lenient`: a line that cannot be written (disk full) is counted in `lost`.

        What is on its way home must not wait for room on a disk: whoever comes next asks the machine anyway.
        """
        self.lenient = lenient
        self._open()

    def _open(self) -> None:
        """Open both files for appending; a torn last line is closed off first."""
        for lifetime, path in ((Lifetime.DISK, self.disk_path), (Lifetime.BOOT, self.boot_path)):
            try:
                fd = files.open_plain(path, os.O_RDWR | os.O_APPEND)
            except FileNotFoundError:
                continue
            self._fds[lifetime] = fd
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":
                self._write(lifetime, "")

    def intent(self, action: Action, step: Step) -> None:
        self._record(step, "intent", action)

    def done(self, action: Action, step: Step, note: str = "") -> None:
        self._record(step, "done", action, note)

    def refused(self, action: Action, step: Step, why: str) -> None:
        """The step has changed nothing after its intent. Not worth a second error where it cannot be written."""
        was, self.lenient = self.lenient, True
        self._record(step, "refused", action, why)
        self.lenient = was

    def failed(self, action: Action, step: Step, why: str) -> None:
        """A recovery has tried it in vain."""
        self._record(step, "failed", action, why)

    def progress(self, action: Action, step: Step, done: int, total: int, unit: str) -> None:
        """Say how far the step is, in a file that is overwritten: worth nothing after a crash, and no failure."""
        moment = Moment("progress", action, step.id, "", time.monotonic(), done, total, unit)
        with suppress(OSError):
            files.write_json(f"{self.boot_path}{PROGRESS}", asdict(moment), durable=False)
        self.observe(moment)

    def _record(self, step: Step, what: str, action: Action, note: str = "") -> None:
        at = time.monotonic()
        said = {"note": note} if what != "intent" else {}
        self._append(step.lifetime, {"what": what, "action": action, "step": step.id, **said, "at": at})
        self.observe(Moment(what, action, step.id, note, at))

    def standing(self, standing: Standing) -> None:
        self.lenient |= standing in (Standing.UNDOING, Standing.RETURNING)
        for lifetime in Lifetime:
            self._append(lifetime, {"standing": standing, "at": time.monotonic()})

    def _append(self, lifetime: Lifetime, record: dict[str, Any]) -> None:
        if lifetime in self._fds:
            self._write(lifetime, json.dumps(record))

    def _write(self, lifetime: Lifetime, line: str) -> None:
        fd = self._fds[lifetime]
        try:
            if lifetime is Lifetime.DISK:
                files.append_durable(fd, line)
            else:
                files.write_all(fd, line.encode() + b"\n")
        except OSError:
            if not self.lenient:
                raise
            self.lost += 1

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def end(self) -> None:
        """The operation is over and nothing is left to undo: remove both files, the boot one last.

        Whoever was killed while it wrote has left what was not yet in place: nobody else would look for that.
        """
        self.close()
        for name in (PROGRESS, STOP):
            files.remove(f"{self.boot_path}{name}")
        for path in (f"{self.boot_path}{PROGRESS}", self.boot_path, self.disk_path):
            files.remove_unfinished(path)
        files.remove(self.disk_path)
        with suppress(FileNotFoundError):  # it was read on a host that never had one
            files.sync_dir(os.path.dirname(self.disk_path))  # btrfs: no fsync of another file makes that durable
        files.remove(self.boot_path)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(path: str) -> Story | None:
    """The story that the file `path` tells, or None when it is not there.

    Raises VfioctlError: "journal.corrupt" when it cannot be read or says what is not to be obeyed, "journal.schema"
    when it is of a newer version; PermissionError to those who are not root. A line that is torn or garbage after the
    header is passed over: the machine is asked anyway.
    """
    text = _text(path)
    if text is None:
        return None
    header, *lines = text.split("\n")
    try:
        head = json.loads(header)
        schema = head["plan"]["schema"]
    except ANY as error:
        raise corrupt(path, f"its first line is no header ({_why(error)})") from error
    if isinstance(schema, int) and schema > max(READABLE_SCHEMAS):
        raise VfioctlError(
            "journal.schema",
            f"The journal {path} was written by vfioctl {head.get('version')}, which is newer: it has schema {schema}, "
            f"and this version reads {', '.join(map(str, READABLE_SCHEMAS))}.",
            state="Nothing was changed.", hints=("Install that version, then: vfioctl recover", _aside(path)),
        )  # fmt: skip
    if schema not in READABLE_SCHEMAS:
        raise corrupt(path, f"its schema is {schema!r:.60}")
    return _story(head, _judged(path, head), lines)


def _text(path: str) -> str | None:
    """The text of the journal. Somebody without root, who may only look, is told so by the PermissionError."""
    try:
        return files.read_text(path)
    except (OSError, MemoryError) as error:
        if isinstance(error, PermissionError) and os.geteuid() != 0:
            raise
        raise corrupt(path, reason(error)) from error


def _why(error: Exception) -> str:
    """What a damaged header has done to its reader, in a few words."""
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else reason(error) or type(error).__name__


def corrupt(path: str, why: str) -> VfioctlError:
    """The error about a journal that is not obeyed."""
    return VfioctlError(
        "journal.corrupt", f"The journal {path} cannot be read: {why}.", state="Nothing was changed.",
        hints=("Bring the desktop back with: vfioctl rescue", _aside(path)),
    )  # fmt: skip


def _aside(path: str) -> str:
    from vfioctl.shell import argument  # only for what is damaged

    return f"Put the journal aside with: vfioctl recover --discard {argument(uuid_of(path))}"


def _judged(path: str, head: dict[str, Any]) -> Plan:
    """The plan, as far as it may be obeyed. Raises VfioctlError("journal.corrupt")."""
    from vfioctl.txn import judge  # a start that finds no journal does without it

    try:
        plan = Plan.from_json(_in_this_schema(head["plan"]))
        problem = judge.problem_of_head(head) or judge.problem_of(plan, uuid_of(path))
    except ANY as error:
        raise corrupt(path, f"its plan is not one ({_why(error)})") from error
    if problem:
        raise corrupt(path, problem)
    return plan


def _in_this_schema(data: Mapping[str, Any]) -> Mapping[str, Any]:
    if data["schema"] == SCHEMA:
        return data
    from vfioctl.txn.operation import upgraded  # only for the journals of an earlier version

    return upgraded(data)


def uuid_of(path: str) -> str:
    """The key of the operation whose journal lies at `path`."""
    return os.path.basename(path).removesuffix(SUFFIX)


def _story(head: dict[str, Any], plan: Plan, lines: list[str]) -> Story:
    records: list[Moment] = []
    standing, torn, given = Standing.APPLYING, False, False
    for line in filter(None, lines):
        try:
            said = _said(json.loads(line))
        except ANY:
            torn = True
            continue
        if isinstance(said, Moment):
            records.append(said)
            continue
        standing = said
        if standing is Standing.HELD:  # it has everything: what was done of a return before counts no more
            given, records = True, [record for record in records if _is_of_start(record, plan)]
    return Story(
        plan=plan, boot_id=head["boot_id"], started=head["started"], version=head["version"],
        standing=standing, records=tuple(records), torn=torn, given=given, extra=head.get("extra", {}),
    )  # fmt: skip


def _said(data: dict[str, Any]) -> Moment | Standing:
    """One line after the header. Raises whatever a damaged one makes it."""
    if "standing" in data:
        return Standing(data["standing"])
    from vfioctl.txn.shape import is_number

    what, step, note, at = data["what"], data["step"], data.get("note", ""), data["at"]
    if what not in WHAT or not all(isinstance(text, str) for text in (step, note)) or not is_number(at):
        raise ValueError(data)
    return Moment(what, Action(data["action"]), step, note, at)


def _is_of_start(record: Moment, plan: Plan) -> bool:
    return record.action is Action.APPLY and any(record.step == step.id for step in plan.changes)


def read_both(paths: Paths, uuid: str) -> Story | None:
    """The story of the operation `uuid` from both files, boot entries first; None when there is none."""
    boot, disk = read(paths.boot_journal(uuid)), read(paths.disk_journal(uuid))
    if boot is None or disk is None or boot.boot_id != disk.boot_id:
        return disk if boot is None else boot
    records = sorted((*boot.records, *disk.records), key=lambda record: record.at)
    return Story(
        plan=boot.plan, boot_id=boot.boot_id, started=boot.started, version=boot.version, standing=boot.standing,
        records=tuple(records), torn=boot.torn or disk.torn, given=boot.given or disk.given,
        extra=boot.extra,
    )  # fmt: skip


def is_settled(paths: Paths, story: Story) -> bool:
    """Whether it has done its work and keeps it: one of an earlier boot has no journal in /run any more."""
    return story.standing is Standing.HELD and os.path.exists(paths.boot_journal(story.plan.key))


def open_uuids(paths: Paths) -> tuple[str, ...]:
    """The keys of all operations with a journal, of this boot or on disk."""
    found: set[str] = set()
    for directory in (os.path.dirname(paths.boot_journal("x")), os.path.dirname(paths.disk_journal("x"))):
        try:
            found |= {uuid_of(name) for name in os.listdir(directory) if name.endswith(SUFFIX) and name[0] != "."}
        except (FileNotFoundError, NotADirectoryError):
            continue
    return tuple(sorted(found))


def ends_of(path: str) -> tuple[str, tuple[str, ...]]:
    """The first line of the file at `path` and its last ones, whatever they say: for who shows what is left of it."""
    try:
        fd = files.open_plain(path)
    except OSError:
        return "", ()
    try:
        first = os.pread(fd, MOST_SHOWN, 0).partition(b"\n")[0]
        last = os.pread(fd, MOST_SHOWN, max(len(first), os.fstat(fd).st_size - MOST_SHOWN)).split(b"\n")
    except OSError:
        return "", ()
    finally:
        os.close(fd)
    return first.decode(errors="replace"), tuple(line.decode(errors="replace") for line in last)
