"""The state of an emulated TPM: what of it can be kept, its copies beside it, and what one holds. Pure but for `held`.

It belongs to the disks: beside older ones an encrypted guest asks for its recovery key. While the guest is off, one
file is all there is of it, which is bytes to us, encrypted or not; a running swtpm may write to it at any moment.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from vfioctl.plugin import TYPE_CHECKING, Finding, Refused, Severity, frozen, open_plain
from vfioctl_snapshot import steps
from vfioctl_snapshot.facts import Facts
from vfioctl_snapshot.names import NOTHING_CHANGED
from vfioctl_snapshot.record import Record
from vfioctl_snapshot.settings import finding

if TYPE_CHECKING:
    from vfioctl.plugin import Host
    from vfioctl_snapshot.steps import Content, Steps

LARGEST = 16 << 20  # bytes; swtpm's are some KiB
ONLY_DISKS = "Only the disks, with the recovery key of BitLocker or LUKS at hand: --disks-only"


@frozen
class Held:
    """What a copy holds, and whose file it is."""

    content: bytes
    mode: int
    owner: int
    group: int


def held(host: Host, path: str) -> Held:
    """What the copy at `path` holds. Raises Refused("snapshot.incomplete")."""
    try:
        with os.fdopen(open_plain(host.paths.at(path), foreign=True), "rb") as file:
            status, content = os.fstat(file.fileno()), file.read(LARGEST + 1)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    if len(content) > LARGEST:
        raise _unusable(path, f"it is larger than {LARGEST >> 20} MiB")
    return Held(content, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def _unusable(path: str, why: str) -> Refused:
    said = f"The copy of the TPM's state {path} cannot be used: {why}."
    return Refused("snapshot.incomplete", said, state=NOTHING_CHANGED, hints=(ONLY_DISKS,))


def copy_of(facts: Facts, record: Record) -> str:
    """The copy that belongs to `record`, of the TPM that the guest has now; "" for none."""
    return record.tpm if facts.tpm and record.tpm.startswith(f"{facts.tpm}.") else ""


def of_keeping(facts: Facts) -> Iterator[Finding]:
    """What speaks against keeping the state as it is now."""
    if why := _uncopied(facts):
        said = f"Guest {facts.name} has a TPM, whose state cannot be kept with the snapshot: {why}."
        yield finding("snapshot.vtpm_state", said, hint=ONLY_DISKS)
    elif facts.tpm and not facts.tpm_exists:
        said = f"There is no state of the TPM yet, {facts.tpm}: the guest never ran."
        yield finding("snapshot.no_tpm", said, Severity.INFO)


def _uncopied(facts: Facts) -> str:
    """Why the state cannot be copied; "" for nothing."""
    if facts.vtpm and not facts.tpm:
        return f"it lies in no file of this host (its backend is {facts.vtpm})"
    if facts.tpm and not facts.files_seen:
        return "it is a file of the root of its host"
    return "it is written to while the guest runs" if facts.tpm and facts.runs else ""


def of_return(facts: Facts, record: Record, without: str) -> Iterator[Finding]:
    """What speaks against going back with the state of `record`; `without` is the command line that leaves it alone."""
    if facts.vtpm and not facts.tpm:
        yield from of_keeping(facts)
    elif facts.tpm_exists and not copy_of(facts, record):
        said = f"Snapshot {record.name!r} of guest {facts.name} has no copy of the state of its TPM."
        hint = f"Only the disks, with the recovery key of BitLocker or LUKS at hand: {without}"
        yield finding("snapshot.without_tpm", said, hint=hint)


def put_back(
    facts: Facts, made: Steps, contents: tuple[Content, ...], state: Held | None
) -> tuple[Steps, tuple[Content, ...]]:
    """`made` and `contents` with the state put in its place after everything else, which has seen the guest off."""
    if state is None:
        return made, contents
    new = steps.content(state.content)
    step = steps.put_back(facts.tpm, new, state, "the state of the TPM belongs to the disks")
    return made.then(step), (*contents, new)
