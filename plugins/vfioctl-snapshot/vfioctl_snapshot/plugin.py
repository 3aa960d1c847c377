"""Hook implementations: a snapshot of each disk before the start, retention after the stop. Changes nothing itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from vfioctl.plugin import (
    VENDOR_RANK,
    Disk,
    Finding,
    Phase,
    Request,
    Severity,
    SnapshotBackend,
    StepProposal,
    argument,
    frozen,
    hookimpl,
)
from vfioctl_snapshot.choice import FORMAT, Choice, choices, choose
from vfioctl_snapshot.naming import nvram_stem, outdated, tpm_states
from vfioctl_snapshot.settings import PLUGIN, Settings, finding

CREATE_DEADLINE = 20.0
DELETE_DEADLINE = 60.0
COPY_DEADLINE = 10.0
MOST = 20  # deletions of a disk, and of the NVRAM, after one stop: what is left then goes after the next ones
LARGEST = 64 << 20  # bytes; an NVRAM of OVMF has 128 KiB to 4 MiB, the state of a TPM some KiB


@hookimpl
def vfioctl_snapshot(disk: Disk, request: Request) -> SnapshotBackend | None:
    """A qcow2 internal snapshot of `disk`, and the deletion of those that are too old."""
    settings = Settings.of(request)
    choice = choose(disk, settings, request) if settings.usable else None
    if choice is None:
        return None
    return SnapshotBackend(
        plugin=PLUGIN, disk=disk.target, rank=VENDOR_RANK,
        create=(_create(choice, settings.snapshot_name(request)),) if choice.wanted else (),
        delete=tuple(_deletions(choice, settings, request)) if choice.wanted else (),
        findings=(*choice.findings(request.guest), *_backlog(choice, settings, request)),
    )  # fmt: skip


def _create(choice: Choice, name: str) -> StepProposal:
    target = choice.disk.target
    return StepProposal(
        id=f"snapshot:{target}", kind="disk.snapshot",
        params={"backend": FORMAT, "path": choice.disk.source, "name": name},
        reason=f"keep {target} as it is before this start", phase=Phase.BEFORE, deadline=CREATE_DEADLINE,
    )  # fmt: skip


def _deletions(choice: Choice, settings: Settings, request: Request) -> Iterable[StepProposal]:
    for name in _outdated(choice, settings, request)[:MOST]:
        yield StepProposal(
            id=f"snapshot.prune:{choice.disk.target}:{name}", kind="disk.snapshot_delete",
            params={"backend": FORMAT, "path": choice.disk.source, "name": name},
            reason=f"only the {settings.keep} newest of {choice.disk.target} are kept", phase=Phase.AFTER,
            deadline=DELETE_DEADLINE, best_effort=True,
        )  # fmt: skip


def _outdated(choice: Choice, settings: Settings, request: Request) -> tuple[str, ...]:
    return outdated(settings.name, (*choice.image.names, settings.snapshot_name(request)), settings.keep)


def _backlog(choice: Choice, settings: Settings, request: Request) -> Iterable[Finding]:
    if choice.wanted and (more := len(_outdated(choice, settings, request)) - MOST) > 0:
        message = (
            f"{choice.disk.target} of guest {request.guest} has {more + MOST} snapshots too many: {MOST} go after this "
            f"stop, {more} after the next ones."
        )
        yield finding("snapshot.backlog", message, Severity.WARN)


@frozen
class Part:
    """A file that belongs to the disks; the names of its copies begin with `stem`."""

    name: str
    path: str
    stem: str
    what: str


def _parts(request: Request) -> tuple[Part, ...]:
    """Those that there may be: the NVRAM, and the state of an emulated TPM of either version."""
    nvram, states = request.domain.nvram, tpm_states(request.domain.uuid) if request.domain.has_vtpm else ()
    found = [Part(os.path.basename(path).removesuffix(".permall"), path, path, "the TPM's state") for path in states]
    return (*((Part("nvram", nvram, nvram_stem(nvram), "the NVRAM"),) if nvram else ()), *found)


@hookimpl
def vfioctl_pre_start(request: Request) -> Iterable[StepProposal]:
    """A copy of what belongs to the disks, when one is snapshotted: the one without the other does not boot.

    At `prepare` no swtpm runs yet, so that the state of the TPM is whole.
    """
    settings = Settings.of(request)
    parts = [part for part in _parts(request) if _is_small(request, part.path)] if settings.usable else []
    if not parts or not any(choice.wanted for choice in choices(settings, request)):
        return ()
    return tuple(
        StepProposal(
            id=f"snapshot.{part.name}", kind="file.copy",
            params={"source": part.path, "dest": f"{part.stem}.{settings.full_name(request)}"},
            reason=f"keep {part.what} that belongs to the snapshot", phase=Phase.BEFORE, deadline=COPY_DEADLINE,
        ) for part in parts
    )  # fmt: skip


@hookimpl
def vfioctl_post_stop(request: Request) -> Iterable[StepProposal]:
    """The removal of copies that are too old."""
    settings = Settings.of(request)
    if not settings.usable or request.incoming:
        return
    for part in _parts(request):
        yield from _outdated_copies(settings, request, part)


def _outdated_copies(settings: Settings, request: Request, part: Part) -> Iterable[StepProposal]:
    directory, prefix = os.path.dirname(part.stem), f"{os.path.basename(part.stem)}."
    copies = (name.removeprefix(prefix) for name in _listed(request, directory) if name.startswith(prefix))
    due = outdated(settings.name, (*copies, settings.snapshot_name(request)), settings.keep)
    more = f"; {len(due) - MOST} more go after later stops" if len(due) > MOST else ""
    for name in due[:MOST]:
        yield StepProposal(
            id=f"snapshot.prune:{part.name}:{name}", kind="command.run",
            params={"argv": ["rm", "-f", "--", request.host.paths.at(f"{part.stem}.{name}")]},
            reason=f"only the {settings.keep} newest copies of {part.what} are kept{more}", phase=Phase.AFTER,
            best_effort=True,
        )  # fmt: skip


@hookimpl
def vfioctl_preflight(request: Request) -> Iterable[Finding]:
    """Wrong settings, and what a snapshot does not hold."""
    settings = Settings.of(request)
    if not settings.enabled:
        return
    yield from settings.problems(request)
    states = tpm_states(request.domain.uuid) if request.domain.has_vtpm else ()
    if states and not any(_is_small(request, path) for path in states):
        message = f"The virtual TPM of guest {request.guest} is not part of the snapshot: libvirt has no state of it."
        yield finding("snapshot.vtpm", message, Severity.INFO)
    if nvram := request.domain.nvram:
        yield from _about_nvram(request, nvram)


def _about_nvram(request: Request, nvram: str) -> Iterable[Finding]:
    path = request.host.paths.at(nvram)
    if not request.host.ask(path, lambda: os.path.lexists(path)):
        message = f"There is no NVRAM {nvram} yet, so none is kept with the snapshot."
        yield finding("snapshot.no_nvram", message, Severity.INFO)
    elif not _is_small(request, nvram):
        message = f"The NVRAM {nvram} of guest {request.guest} is no regular file of at most {LARGEST >> 20} MiB."
        yield finding("snapshot.nvram", message, hint=f"Correct <nvram> with: virsh edit {argument(request.guest)}")


def _is_small(request: Request, path: str) -> bool:
    """Whether root may copy it. Who defines domains chooses the path: no link, no device, no file that fills a disk."""
    there = request.host.paths.at(path)
    return request.host.ask(there, lambda: _is_small_file(there))


def _is_small_file(path: str) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST


def _listed(request: Request, directory: str) -> list[str]:
    path = request.host.paths.at(directory)
    try:
        return request.host.ask(os.path.join(path, ""), lambda: os.listdir(path))
    except OSError:
        return []
