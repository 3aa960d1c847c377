"""How files of this host are before they are changed on record: what speaks against it, and what would differ."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.errors import Refused
from vfioctl.plugin.host_changes import (
    Fate,
    FileBefore,
    FileEdit,
    HostRecord,
    RecordedFile,
    read_host_record,
    read_now,
    record_path,
)

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.paths import Paths


def record_of(call: Call, name: str) -> HostRecord:
    """What is on record; to somebody who may not read it, nothing is."""
    try:
        return read_host_record(call.paths, name)
    except PermissionError:
        return HostRecord()


def is_made(paths: Paths, edit: FileEdit) -> bool:
    there = now(paths, edit.path)
    return there is not None and there.content == edit.content and (not edit.remode or there.mode == edit.mode)


def must_be_ours(call: Call, record: HostRecord, edits: Iterable[FileEdit], back: str) -> None:
    """Raise Refused where a file is not as it was left, or has our name and another author."""
    paths, wanted = call.paths, tuple(edits)
    known = [one for one in (record.find(edit.path) for edit in wanted) if one]
    if foreign := [one for one in known if fate(paths, one) is Fate.EDITED]:
        raise conflict(call, foreign, f"Or take all of it back, and leave these as they are: {back} --leave-edited")
    for edit in wanted:
        if edit.own and not record.find(edit.path) and now(paths, edit.path):
            said = f"{edit.path} is there already, and vfioctl has not made it."
            raise Refused("change.taken", said, state=NOTHING_CHANGED, hints=("Look at it, and move it away.",))
    must_be_writable(paths, (edit.path for edit in wanted))


def must_be_writable(paths: Paths, changed: Iterable[str]) -> None:
    for path in (*changed, record_path("")):
        place = os.path.dirname(paths.at(path))
        try:
            read_only = os.statvfs(place).f_flag & os.ST_RDONLY
        except OSError:
            continue  # the step says what is wrong with it
        if read_only:
            raise Refused(
                "change.read_only", f"{path} cannot be changed: its file system is read-only.", state=NOTHING_CHANGED,
                hints=(f"Mount it for writing: mount -o remount,rw TARGET; see: findmnt --target {place}",),
            )  # fmt: skip


def conflict(call: Call, foreign: Iterable[RecordedFile], hint: str) -> Refused:
    """What was edited since; told before it: what putting it back would change."""
    files = tuple(foreign)
    for line in lines(before(call.paths, one) for one in files):
        call.caller.tell(line)
    names = ", ".join(one.path for one in files)
    return Refused(
        "change.edited", f"Somebody has changed {names} since vfioctl did, and that is not written over.",
        state=NOTHING_CHANGED, hints=("Undo the edit by hand, then ask once more.", hint),
    )  # fmt: skip


def fate(paths: Paths, one: RecordedFile) -> Fate:
    try:
        return one.fate(paths)
    except OSError as error:
        raise _unreadable(one.path, error) from error


def now(paths: Paths, path: str) -> FileBefore | None:
    try:
        return read_now(paths.at(path))
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> Refused:
    said = f"{path} cannot be changed: {error.strerror}."
    return Refused("change.unreadable", said, state=NOTHING_CHANGED, hints=(f"Look at it with: ls -l {path}",))


def edited(paths: Paths, edit: FileEdit) -> dict[str, Any]:
    """An edit as data."""
    return _shown(paths, edit.path, edit.content, edit.mode if edit.remode else None)


def before(paths: Paths, one: RecordedFile) -> dict[str, Any]:
    """The way back of a file on record as data."""
    return _shown(paths, one.path, *((one.before.content, one.before.mode) if one.before else (None, None)))


def _shown(paths: Paths, path: str, wanted: bytes | None, mode: int | None) -> dict[str, Any]:
    """What the file is to be, and the difference to what it is; `mode` None is the one that it has."""
    there = now(paths, path)
    differs = list(_difference(path, there.content if there else b"", wanted or b""))
    if there and mode not in (None, there.mode):
        differs.insert(0, f"mode {there.mode:04o} becomes {mode:04o}")
    becomes = "removed" if wanted is None else "written" if there is None else "changed"
    return {"path": path, "becomes": becomes, "difference": "\n".join(differs)}


def _difference(path: str, now: bytes, wanted: bytes) -> Iterator[str]:
    old, new = (text.decode(errors="replace").splitlines() for text in (now, wanted))
    yield from difflib.unified_diff(old, new, f"{path} now", f"{path} wanted", lineterm="", n=2)


def lines(changes: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """For each file that it is about, what becomes of it and the lines that differ."""
    return tuple(
        line for one in changes
        for line in (f"{one['path']} is {one['becomes']}:", *one["difference"].splitlines())
    )  # fmt: skip
