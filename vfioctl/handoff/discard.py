"""Puts a journal aside that is damaged or cannot be ended, with all that is known of it.

A whole one only where a recovery has tried to end it and has failed. Brings nothing home and deletes nothing.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress

from vfioctl import files
from vfioctl.compose import Composition
from vfioctl.errors import Refused, VfioctlError, reason
from vfioctl.frozen import asdict
from vfioctl.handoff import attempts, damaged, markers, remains
from vfioctl.handoff.notes import guest_lock
from vfioctl.handoff.remains import Remains
from vfioctl.host.host import Host
from vfioctl.paths import Paths
from vfioctl.txn import blobs, generation
from vfioctl.txn.journal import open_uuids, read_both
from vfioctl.txn.resources import Ledger, resource_locks

LOCK_SECONDS = 5.0
REPORT = "report.json"
EXECUTABLE, PRIVATE = 0o700, 0o600


def candidates(paths: Paths) -> tuple[str, ...]:
    """The UUIDs of what cannot be finished.

    The journal is damaged, or its recovery was tried in vain, or it is gone while the ledger names the guest.
    """
    opened = open_uuids(paths)
    hopeless = {uuid for uuid in opened if _is_hopeless(paths, uuid)}
    held = {uuid for entry in Ledger(paths).readable()[0] for uuid in entry.holders}
    return tuple(sorted(hopeless | held - set(opened)))


def _is_hopeless(paths: Paths, uuid: str) -> bool:
    try:
        story = read_both(paths, uuid)
    except VfioctlError:
        return True
    return story is not None and bool(story.failures)


def refuse_whole(paths: Paths, uuid: str) -> None:
    """Raise Refused where the hand-off of `uuid` is nothing to be put aside."""
    if uuid in candidates(paths):
        return
    if uuid in open_uuids(paths):
        raise Refused(
            "recover.whole",
            f"The journal of {uuid} is whole: its hand-off is finished, and put aside only once that has failed.",
            state="Nothing was changed.", hints=("Finish it with: vfioctl recover",),
        )  # fmt: skip
    raise Refused("recover.nothing", f"Nothing is open of {uuid}.", state="Nothing was changed.")


def refuse_living(composition: Composition, uuid: str) -> None:
    """Raise Refused while somebody has what the hand-off of `uuid` holds, or is about to. The caller has its lock."""
    paths, host = composition.paths, composition.machine().host()
    if living := next(_living(paths, host, uuid), ""):
        raise Refused(
            "recover.in_use", f"The journal of {damaged.guest_of(paths, uuid) or uuid} is not put aside: {living}.",
            state="Nothing was changed.", hints=("Stop the guest first, then look again with: vfioctl status",),
        )  # fmt: skip


def _living(paths: Paths, host: Host, uuid: str) -> Iterator[str]:
    guest = damaged.guest_of(paths, uuid)
    if pid := host.qemu_of(uuid, guest):
        yield f"the guest runs (process {pid})"
    held = damaged.devices(paths, uuid)
    if pids := host.vfio_open(held) if held else ():
        yield f"process {pids[0]} has its devices open"
    attempt = attempts.of(paths, guest, uuid) if guest else None
    if attempt and attempt.may_go_on(paths):
        yield f"process {attempt.daemon} is starting the guest"


def discard(composition: Composition, uuid: str) -> tuple[Remains, str]:
    """Put the journal of `uuid` aside; what was known of it, and the directory that everything was put into.

    Raises Refused while it can be finished, is in use or worked on (lock.busy); OSError where the directory cannot be
    written: nothing was changed then.
    """
    paths = composition.paths
    with guest_lock(paths, uuid):
        refuse_whole(paths, uuid)
        refuse_living(composition, uuid)
        held = damaged.entries(paths, uuid)
        with resource_locks(paths, tuple(entry.resource for entry in held), deadline=LOCK_SECONDS):
            known = remains.of(composition, uuid)
            place = _place(paths, uuid)
            report = {**asdict(known), "ledger": [asdict(entry) for entry in held]}
            files.write_json(os.path.join(place, REPORT), report)
            if known.undo:
                _copy(known.undo, os.path.join(place, markers.UNDO), EXECUTABLE)
            _keep_content(paths, uuid, place)
            _put_aside(paths, uuid, place)
            Ledger(paths).drop(uuid)
        if markers.are_of(paths, known.guest, uuid):
            markers.clear(paths, known.guest)
        generation.bump(paths)
    return known, place


def _place(paths: Paths, uuid: str) -> str:
    """A new directory for it: the same guest may have had one before."""
    moment = time.strftime("%Y%m%d-%H%M%S")
    for number in range(100):
        place = os.path.join(paths.discarded, f"{uuid}-{moment}{f'-{number}' if number else ''}")
        with suppress(FileExistsError):
            files.make_private_dir(paths.discarded)
            os.mkdir(place, files.PRIVATE_DIR)
            return place
    raise VfioctlError("recover.nothing", f"There is no free name for {place}.")


def _keep_content(paths: Paths, uuid: str, place: str) -> None:
    """Copy what the plan names, such as a file as it was before: a later recovery removes what no journal names."""
    if story := damaged.story_of(paths, uuid):
        for path in blobs.of(paths, story.plan):
            _copy(path, os.path.join(place, os.path.basename(path)), PRIVATE)


def _copy(source: str, target: str, mode: int) -> None:
    shutil.copyfile(source, target)
    os.chmod(target, mode)


def _put_aside(paths: Paths, uuid: str, place: str) -> None:
    """Move both files, whatever stands there in their names."""
    for path, name in ((paths.disk_journal(uuid), "disk.jsonl"), (paths.boot_journal(uuid), "boot.jsonl")):
        if os.path.lexists(path):
            _move(path, os.path.join(place, name))


def _move(path: str, target: str) -> None:
    """Move `path`. /run is another file system: what is no file there and cannot be copied holds nothing to keep."""
    try:
        os.rename(path, target)
        return
    except OSError:
        mode = os.lstat(path).st_mode
    try:
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
            shutil.move(path, target)
        else:
            os.unlink(path)
    except OSError as error:
        raise VfioctlError(
            "recover.unmovable", f"{path} cannot be moved to {target}: {reason(error)}.",
            state="What could be moved lies there; nothing was deleted.",
            hints=("Make it readable or move it away by hand, then try again.",),
        ) from error  # fmt: skip
