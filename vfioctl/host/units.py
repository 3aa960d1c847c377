"""systemd units of the system manager and of user managers, as `systemctl` tells them. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl.errors import VfioctlError
from vfioctl.host.model import Unit
from vfioctl.host.properties import blocks, number
from vfioctl.paths import Paths
from vfioctl.proc import Programs

DEADLINE = 5.0
NO_JOB = ("", "0")
PROPERTIES = "Id,LoadState,ActiveState,Job,MainPID"


def is_booted(paths: Paths) -> bool:
    """Whether systemd is the system manager: sd_booted(3)."""
    return os.path.isdir(paths.at("run/systemd/system"))


def systemctl(uid: int | None = None) -> tuple[str, ...]:
    """The program and the arguments that reach the system manager, or the manager of the user `uid`."""
    return ("systemctl",) if uid is None else ("systemctl", "--user", f"--machine={uid}@.host")


def literal(argv: Iterable[str]) -> tuple[str, ...]:
    """`argv` for systemd-run or a unit file: systemd replaces $NAME and ${NAME} in a command by variables."""
    return tuple(word.replace("$", "$$") for word in argv)


def absent(name: str, uid: int | None = None) -> Unit:
    """What a unit is on a host without systemd or without that user manager."""
    return Unit(name, "not-found", "inactive", uid=uid)


def read(programs: Programs, names: tuple[str, ...], uid: int | None = None) -> tuple[Unit, ...]:
    """The units `names`, in order, by one `systemctl show`. An alias is resolved: the name is the real one.

    Raises VfioctlError("unit.unreadable").
    """
    argv = (*systemctl(uid), "show", "--no-pager", f"--property={PROPERTIES}", "--", *names)
    shown = programs.run(argv, deadline=DEADLINE)
    found = blocks(shown.stdout)
    if len(found) != len(names):
        raise VfioctlError(
            "unit.unreadable", f"The state of {', '.join(names)} cannot be read: {shown.why()}.",
            hints=(f"See what it says with: systemctl show {names[0]}",),
        )  # fmt: skip
    jobs = _jobs(programs, uid) if any(block.get("Job", "0") not in NO_JOB for block in found) else {}
    return tuple(_parse(name, block, jobs, uid) for name, block in zip(names, found, strict=True))


def _parse(name: str, block: dict[str, str], jobs: dict[str, str], uid: int | None) -> Unit:
    real = block.get("Id") or name
    job = block.get("Job", "")
    return Unit(
        name=real,
        load_state=block.get("LoadState", "not-found"),
        active_state=block.get("ActiveState", "inactive"),
        job=jobs.get(real, "") if job.isdecimal() else job,
        main_pid=number(block.get("MainPID")) or 0,
        uid=uid,
    )


def _jobs(programs: Programs, uid: int | None) -> dict[str, str]:
    """Unit → kind of its queued job. `systemctl show` gives only the job's number."""
    argv = (*systemctl(uid), "list-jobs", "--no-legend", "--no-pager", "--plain")
    rows = (line.split() for line in programs.run(argv, deadline=DEADLINE).stdout.splitlines())
    return {row[1]: row[2] for row in rows if len(row) > 2}  # noqa: PLR2004 -- number, unit, kind, state


def active_of_user(programs: Programs, uid: int) -> tuple[Unit, ...]:
    """The active units of the user manager of `uid`; none when it does not run or does not answer."""
    quiet = ("--no-legend", "--no-pager", "--plain", "--state=active,activating")
    argv = (*systemctl(uid), "list-units", *quiet)
    listed = programs.run(argv, deadline=DEADLINE)
    rows = (line.split() for line in listed.stdout.splitlines()) if listed.ok else ()
    return tuple(Unit(row[0], row[1], row[2], uid=uid) for row in rows if len(row) > 2)  # noqa: PLR2004 -- as above


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """`names` without repetition, in order."""
    return tuple(dict.fromkeys(names))
