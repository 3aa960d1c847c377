"""The ledger: one baseline a resource, taken by the first operation that changes it, and the ones that hold it.

Written only under the resource's lock. What is exclusive has one holder; a unit, a module or a sysfs value can be
shared by those that wish the same, and the last one puts the baseline back. Holders are known by their keys.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from math import inf

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused, reason
from vfioctl.frozen import asdict, field, frozen, replace
from vfioctl.paths import Paths
from vfioctl.txn.kind import kind as form_of
from vfioctl.txn.step import Json, Step

if TYPE_CHECKING:
    from vfioctl.txn.clock import Deadline

# What is named by settings, users or the second of a start: the others are as many as the machine has parts.
PASSING = ("autostart:", "command:", "container:", "content:", "cpus:", "disk:", "domain:", "file:", "foreign:",
           "generated:", "media:", "memory:", "network:", "pool:", "process:", "session:", "snapshot:", "volume:")
LONGEST_NAME = 200
ANY = Exception  # a damaged file may make anything of what reads it
DOMAIN = "domain:"  # the resource of what changes a domain, before its UUID
PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:-"


def _quoted(code: int) -> str:
    return "_" + chr(code).encode(errors="surrogateescape").hex() + "_"


class _Quoting(dict[int, str]):
    """For str.translate, which is asked for each name several times in a start: what is not plain, by its bytes."""

    def __missing__(self, code: int) -> str:
        return _quoted(code)


QUOTED = _Quoting({code: chr(code) if chr(code) in PLAIN else _quoted(code) for code in range(128)})


@frozen
class Entry:
    """One changed resource. `wish` is what its holders agreed on; `holders` maps keys to subjects.

    `inherited`: one that may have changed it has left it so to these holders, who put it back, begun or not.
    """

    resource: str
    kind: str
    wish: Json
    baseline: Json
    holders: dict[str, str] = field(default_factory=dict)
    inherited: bool = False


def file_name(text: str) -> str:
    """A file name for any resource: every name has its own, and plain ones can be read."""
    quoted = text.translate(QUOTED)
    if len(quoted) <= LONGEST_NAME:
        return quoted
    from hashlib import sha256  # OpenSSL costs the hook path 2 ms, and no name in practice is this long

    return f"{quoted[:80]}-{sha256(text.encode(errors='surrogateescape')).hexdigest()}"


def entry_name(kind: str, resource: str) -> str:
    """The name of an entry's file: it ends as those of all kinds do for this resource, however long that is."""
    return f"{file_name(kind)}{_entry_end(resource)}"


def _entry_end(resource: str) -> str:
    return file_name(f" {resource}") + ".json"


class Ledger:
    """The entries below /run/vfioctl/resources."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths

    def _path(self, kind: str, resource: str) -> str:
        return os.path.join(self.paths.ledger, entry_name(kind, resource))

    def entry(self, kind: str, resource: str) -> Entry | None:
        """What is known of `resource` as changed by steps of `kind`."""
        return _read(self._path(kind, resource))

    def entries(self, *resources: str) -> tuple[Entry, ...]:
        """Every changed resource, or only what is changed of `resources`, by steps of any kind.

        Raises Refused("ledger.corrupt") where one of them cannot be read.
        """
        return tuple(entry for path in self._files(*resources) if (entry := _read(path)))

    def readable(self) -> tuple[tuple[Entry, ...], tuple[Refused, ...]]:
        """Every changed resource that can be read, and what is wrong with the others: for who only looks."""
        found, wrong = [], []
        for path in self._files():
            try:
                found.append(_read(path))
            except Refused as error:
                wrong.append(error)
        return tuple(filter(None, found)), tuple(wrong)

    def _files(self, *resources: str) -> tuple[str, ...]:
        try:
            names = sorted(os.listdir(self.paths.ledger))
        except FileNotFoundError:
            return ()
        ends = tuple(map(_entry_end, resources)) or ".json"
        return tuple(os.path.join(self.paths.ledger, name) for name in names if name.endswith(ends))

    def conflict(self, step: Step, key: str) -> Entry | None:
        """The entry of another holder whose wish this step contradicts."""
        return self.conflicts((step,), key).get(step.resource)

    def conflicts(self, steps: Sequence[Step], key: str) -> dict[str, Entry]:
        """The entries of other holders whose wishes `steps` contradict, by resource. One listing serves all steps."""
        if not (resources := {step.resource for step in steps if step.resource}):
            return {}
        held: dict[str, list[Entry]] = {}
        for entry in self.entries(*resources):
            if _others(entry, key):
                held.setdefault(entry.resource, []).append(entry)
        return {step.resource: other for step in steps if (other := _contradicted(step, held.get(step.resource, ())))}

    def join(self, step: Step, key: str, subject: str) -> None:
        """Hold the step's resource for `key`. Raises Refused("resource.conflict")."""
        self.join_all((step,), key, subject)

    def join_all(self, steps: Sequence[Step], key: str, subject: str) -> None:
        """Hold the resources of all `steps` for `key`. Raises Refused("resource.conflict"), and holds none then."""
        for resource, other in self.conflicts(steps, key).items():
            raise Refused(
                "resource.conflict",
                f"{resource} is held by {', '.join(_others(other, key).values())}, which wants it otherwise.",
                hints=("See who holds what with: vfioctl status",),
            )
        there = frozenset(self._files())
        for step in steps:
            if step.resource:
                path = self._path(step.kind, step.resource)
                self._join(path, _read(path) if path in there else None, step, key, subject)

    def _join(self, path: str, entry: Entry | None, step: Step, key: str, subject: str) -> None:
        baseline = entry.baseline if entry and _others(entry, key) else step.baseline
        holders = {**(entry.holders if entry else {}), key: subject}
        inherited = bool(entry and entry.inherited and _others(entry, key))
        self._write(path, Entry(step.resource, step.kind, dict(step.params), dict(baseline), holders, inherited))

    def is_held(self, step: Step, key: str) -> bool:
        """Whether `key` holds the step's resource."""
        entry = self.entry(step.kind, step.resource)
        return entry is not None and key in entry.holders

    def is_inherited(self, step: Step, key: str) -> bool:
        """Whether `key` has to put the step's resource back although it need not have changed it itself."""
        entry = self._on_the_way_home(step.kind, step.resource)
        return entry is not None and entry.inherited and key in entry.holders

    def others(self, step: Step, key: str) -> tuple[str, ...]:
        """The names of the others that hold the step's resource the same way."""
        return self.others_with(step.kind, step.resource, key)

    def others_with(self, kind: str, resource: str, key: str) -> tuple[str, ...]:
        """The names of the others that hold `resource` by a step of `kind`."""
        entry = self._on_the_way_home(kind, resource) if resource else None
        return tuple(_others(entry, key).values()) if entry else ()

    def _on_the_way_home(self, kind: str, resource: str) -> Entry | None:
        """As `entry`. A damaged one that is exclusive counts as none: one holds it, the one that brings it home."""
        try:
            return self.entry(kind, resource)
        except Refused:
            if not form_of(kind).exclusive:
                raise
            return None

    def leave(self, step: Step, key: str) -> None:
        """Hold the step's resource no longer; the last holder removes the entry."""
        entry, path = self._on_the_way_home(step.kind, step.resource), self._path(step.kind, step.resource)
        if entry is None:
            files.remove(path)  # there is none, or a damaged one that was exclusive
            return
        if key not in entry.holders:
            return
        if holders := _others(entry, key):
            self._write(path, replace(entry, holders=holders, inherited=True))
        else:
            files.remove(path)

    def drop(self, key: str) -> None:
        """Forget `key` as a holder of anything: nobody puts back for it what only it held."""
        for entry in self.readable()[0]:
            path = self._path(entry.kind, entry.resource)
            if holders := _others(entry, key):
                if key in entry.holders:
                    self._write(path, replace(entry, holders=holders, inherited=True))
            else:
                files.remove(path)

    def _write(self, path: str, entry: Entry) -> None:
        files.write_json(path, asdict(entry), durable=False)


def _read(path: str) -> Entry | None:
    """The entry in the file `path`; None when it is not there. Raises Refused("ledger.corrupt")."""
    try:
        data = files.read_json(path)
        entry = Entry(**data) if data is not None else None
        whole = entry is None or _is_whole(entry, os.path.basename(path))
    except PermissionError:
        raise
    except ANY as error:
        raise _corrupt(path, reason(error)) from error
    if not whole:
        raise _corrupt(path, "it is no entry of the ledger")
    return entry


def _is_whole(entry: Entry, name: str) -> bool:
    """Whether it looks like one that was written here, as the file `name`; a holder's UUID becomes a file name."""
    if not all(isinstance(value, dict) for value in (entry.wish, entry.baseline, entry.holders)):
        return False
    texts = (entry.resource, entry.kind, *entry.holders, *entry.holders.values())
    if not all(isinstance(text, str) for text in texts) or any("/" in key for key in entry.holders):
        return False
    return name == entry_name(entry.kind, entry.resource)


def _corrupt(path: str, why: str) -> Refused:
    from vfioctl.shell import word  # only for what is damaged

    return Refused(
        "ledger.corrupt", f"{path} cannot be read: {why}. It says who holds a resource, and how that was.",
        state="Nothing was changed.",
        hints=(f"When nobody may hold it any more, remove it with: rm -- {word(path)}",),
    )  # fmt: skip


def _agrees(entry: Entry, step: Step) -> bool:
    """Whether both can hold the resource: never what is exclusive, and else only the same change."""
    same = entry.kind == step.kind and dict(entry.wish) == dict(step.params)
    return same and not form_of(entry.kind).exclusive


def _contradicted(step: Step, held: Iterable[Entry]) -> Entry | None:
    return next((entry for entry in held if not _agrees(entry, step)), None)


def _others(entry: Entry, key: str) -> dict[str, str]:
    return {holder: name for holder, name in entry.holders.items() if holder != key}


def operation_lock(paths: Paths, key: str) -> files.Lock:
    """The lock that the process of the operation `key` holds from its first look to its last write."""
    return files.Lock(paths.key_lock(key), "The operation is worked on", passing=True)


def turns(paths: Paths, *, longest: float = inf) -> Callable[[Step, Deadline], AbstractContextManager[tuple[int, ...]]]:
    """What holds the locks of one step for as long as it takes, for an Engine: others that return have theirs between.

    Each is waited for at most `longest` seconds, and half of what is left until the deadline, so that the step itself
    has time. Raises Busy.
    """

    def turn(step: Step, deadline: Deadline) -> AbstractContextManager[tuple[int, ...]]:
        names = tuple(name for name in (step.resource, *step.touches) if name)
        return resource_locks(paths, names, deadline=min(longest, deadline.left / 2))

    return turn


def domain(uuid: str) -> str:
    """The resource of the domain `uuid`."""
    return f"{DOMAIN}{uuid}"


def resource_lock(paths: Paths, name: str) -> files.Lock:
    """The lock of one resource."""
    what = "The domain" if name.startswith(DOMAIN) else name.partition(":")[2] or name
    path = os.path.join(paths.locks, file_name(name) + ".lock")
    return files.Lock(path, f"{what} is worked on", passing=name.startswith(PASSING))


@contextmanager
def resource_locks(paths: Paths, resources: tuple[str, ...], *, deadline: float) -> Iterator[tuple[int, ...]]:
    """Hold the locks of `resources`, taken in sorted order so that two operations cannot wait for each other.

    All of them together have `deadline` seconds. Yields the descriptors, to be inherited by helper programs. Raises
    Busy.
    """
    end = time.monotonic() + deadline
    with ExitStack() as stack:
        locks = [resource_lock(paths, name) for name in sorted(set(resources))]
        for lock in locks:
            lock.acquire(deadline=max(0.0, end - time.monotonic()))
            stack.enter_context(lock)
        yield tuple(lock.fd for lock in locks)
