"""Processes by pid and start time, which together name one: a pid alone is used again."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable, Sequence
from functools import partial

from vfioctl.host.readers import raw, text
from vfioctl.paths import Paths
from vfioctl.proc import in_children

START_TIME = 19  # field 22 of /proc/PID/stat, counted after the command's closing parenthesis (proc(5))
STATE = 0
ARGUMENTS_SIZE = 1 << 20
ARGUMENTS_SECONDS = 2.0


def stat_fields(paths: Paths, pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the command name, or None when the process is gone."""
    try:
        fields = (text(os.path.join(paths.proc, str(pid), "stat")) or "").rpartition(")")[2].split()
    except OSError:
        return None
    return fields if len(fields) > START_TIME and fields[START_TIME].isdecimal() else None


def start_time(paths: Paths, pid: int) -> int | None:
    """Clock ticks between boot and the start of `pid`; None when it is gone."""
    fields = stat_fields(paths, pid)
    return int(fields[START_TIME]) if fields else None


def is_alive(paths: Paths, pid: int, started: int) -> bool:
    """Whether the process with this pid and this start time still runs; a zombie does not."""
    fields = stat_fields(paths, pid)
    return fields is not None and int(fields[START_TIME]) == started and fields[STATE] != "Z"


def epoch(ticks: int) -> float:
    """A start time in clock ticks since the boot as seconds since the epoch."""
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def arguments(
    paths: Paths, pids: Iterable[int], *, deadline: float = ARGUMENTS_SECONDS
) -> dict[int, tuple[bytes, ...]]:
    """The command line of each of `pids` by words; without those that do not answer within `deadline` seconds.

    The kernel reads it under the lock of the process's memory, which its user can keep for ever: one child asks them
    all, and when one does not answer, a child each. It is empty for a process that is gone or not for us to see.
    """
    asked = tuple(pids)
    told = _ask(paths, (asked,), deadline) if asked else {}
    return told if told or len(asked) < 2 else _ask(paths, tuple((pid,) for pid in asked), deadline)  # noqa: PLR2004 -- one is asked alone


def _ask(paths: Paths, groups: Sequence[tuple[int, ...]], deadline: float) -> dict[int, tuple[bytes, ...]]:
    """What each of `groups` says to a child of its own; a child that hangs is killed, where the kernel lets it go."""
    found: dict[int, tuple[bytes, ...]] = {}
    works = [partial(_command_lines, paths, group) for group in groups]
    for group, report in zip(groups, in_children(works, deadline=deadline), strict=True):
        if report.stuck:
            os.kill(report.pid, signal.SIGKILL)
        else:
            lines = zip(group, json.loads(report.data), strict=True)
            found |= {pid: tuple(line.encode("latin-1").split(b"\0")) for pid, line in lines}
    return found


def _command_lines(paths: Paths, pids: Iterable[int]) -> bytes:
    lines = (raw(os.path.join(paths.proc, str(pid), "cmdline"), ARGUMENTS_SIZE) or b"" for pid in pids)
    return json.dumps([line.decode("latin-1") for line in lines]).encode()


def uids(paths: Paths, pid: int) -> frozenset[int]:
    """The different user ids of `pid`, or the owner of its directory where none are told; none when it is gone."""
    if found := user_ids(paths, pid):
        return frozenset(found)
    try:
        return frozenset((os.stat(os.path.join(paths.proc, str(pid))).st_uid,))
    except OSError:
        return frozenset()


def user_ids(paths: Paths, pid: int) -> tuple[int, ...]:
    """The real, effective, saved and file-system user id of `pid`, in this order; none when it is gone.

    The owner of /proc/PID is root for every process that is not dumpable (proc(5)).
    """
    lines = (text(os.path.join(paths.proc, str(pid), "status")) or "").splitlines()
    row = next((line for line in lines if line.startswith("Uid:")), "")
    return tuple(int(word) for word in row.split()[1:] if word.isdecimal())


def comm(paths: Paths, pid: int) -> str:
    """The command name of `pid`, or "?"."""
    try:
        return text(os.path.join(paths.proc, str(pid), "comm")) or "?"
    except OSError:
        return "?"
