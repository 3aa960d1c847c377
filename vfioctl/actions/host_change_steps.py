"""The steps by which files of this host are changed on record, and put back. Plans; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.actions.host_change_looks import now
from vfioctl.frozen import field, frozen, replace
from vfioctl.plugin.host_changes import (
    Fate,
    FileBefore,
    FileEdit,
    HostChange,
    HostRecord,
    RecordedFile,
    checksum,
    record_bytes,
    record_path,
)
from vfioctl.plugin.operations import content_name
from vfioctl.txn.step import StepProposal

if TYPE_CHECKING:
    from vfioctl.paths import Paths

REFRESH_SECONDS = 1800.0  # an initramfs for each of several kernels, on a slow disk
RECORD_MODE = "0600"
DIRECTORY_MODE = "0755"


@frozen
class Work:
    """Steps in their order, and the contents that they name."""

    steps: list[StepProposal] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)

    def add(self, wanted: StepProposal) -> None:
        """Behind those that are there."""
        self.steps.append(replace(wanted, after=tuple(one.id for one in self.steps)))

    def write(self, path: str, content: bytes, reason: str, **how: Any) -> None:
        name = content_name(content)
        self.contents[name] = content
        params = {"path": path, "blob": name, "size": len(content), **how}
        self.add(StepProposal(f"write:{path}", "file.write", params, reason))

    def remove(self, path: str, sha256: str, reason: str) -> None:
        params = {"path": path, "sha256": sha256}
        self.add(StepProposal(f"remove:{path}", "file.set_aside", params, reason))

    def refresh(self, programs: Iterable[tuple[str, ...]]) -> None:
        """Run these when all before is done."""
        for argv in programs:
            self.add(StepProposal(
                f"refresh:{' '.join(argv)}", "generated.refresh", {"argv": list(argv)}, "the changes are to count",
                deadline=REFRESH_SECONDS,
            ))  # fmt: skip

    def refresh_back(self, programs: Iterable[tuple[str, ...]]) -> None:
        """Run these when all behind is undone."""
        for argv in programs:
            self.add(StepProposal(
                f"back:{' '.join(argv)}", "generated.refresh", {"argv": list(argv), "back": True},
                "what is put back on failure is to count", deadline=REFRESH_SECONDS,
            ))  # fmt: skip


def making(paths: Paths, record: HostRecord, wanted: HostChange, edits: Iterable[FileEdit]) -> Work:
    """The edits, the record of what is there now, and the programs."""
    work = Work()
    work.refresh_back(wanted.refresh)
    files = {one.path: one for one in record.files}
    for edit in edits:
        there = now(paths, edit.path)
        mode = edit.mode if edit.remode or there is None else there.mode
        wish = FileBefore(edit.content, mode, *_owner(there))
        _write(work, edit.path, wish, edit.reason, replaced=there is not None, **_directory(paths, edit.path))
        known = files.get(edit.path) or RecordedFile(edit.path, there, "", mode, None if there else edit.stand_in)
        files[edit.path] = replace(known, sha256=checksum(edit.content), mode=mode)
    programs = tuple(dict.fromkeys((*record.refresh, *wanted.refresh)))
    after = HostRecord(tuple(files.values()), programs, record.restart or wanted.restart)
    work.write(
        record_path(wanted.record), record_bytes(after), "what was there before can be put back", mode=RECORD_MODE,
        **({"replace": True} if record.files else {}),
    )
    work.refresh(wanted.refresh)
    return work


def restoring(paths: Paths, name: str, record: HostRecord, wanted: Mapping[RecordedFile, Fate]) -> Work:
    """What was there before, without the record, and the programs."""
    work = Work()
    work.refresh_back(record.refresh)
    for one, fate in wanted.items():
        if one.before:
            _write(work, one.path, one.before, "it was so before", replaced=fate is Fate.WRITTEN)
        else:
            work.remove(one.path, one.sha256, "it was not there before")
    kept = record_path(name)
    there = now(paths, kept)
    work.remove(kept, checksum(there.content if there else b""), "nothing is left to be put back")
    work.refresh(record.refresh)
    return work


def _write(work: Work, path: str, file: FileBefore, reason: str, *, replaced: bool, **how: str) -> None:
    owner = {"uid": file.uid, "gid": file.gid} if file.uid >= 0 else {}
    work.write(
        path, file.content, reason, mode=f"{file.mode:04o}", **owner, **({"replace": True} if replaced else {}), **how
    )


def _directory(paths: Paths, path: str) -> dict[str, str]:
    """Has that of drop-ins made, where no package has brought it."""
    return {} if os.path.lexists(os.path.dirname(paths.at(path))) else {"directory": DIRECTORY_MODE}


def _owner(there: FileBefore | None) -> tuple[int, int]:
    """Of the file that is there; -1 is whoever makes a new one."""
    return (there.uid, there.gid) if there else (-1, -1)
