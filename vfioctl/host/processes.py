"""Processes by pid and start time, which together name one: a pid alone is used again."""

from __future__ import annotations

import os
import time

from vfioctl.host.readers import raw, text
from vfioctl.paths import Paths

START_TIME = 19  # field 22 of /proc/PID/stat, counted after the command's closing parenthesis (proc(5))
STATE = 0
ARGUMENTS_SIZE = 1 << 20


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


def arguments(paths: Paths, pid: int | str) -> bytes:
    """The command line of `pid`, each word ended by a zero byte; empty when it is gone or not for us to see."""
    return raw(os.path.join(paths.proc, str(pid), "cmdline"), ARGUMENTS_SIZE) or b""


def comm(paths: Paths, pid: int) -> str:
    """The command name of `pid`, or "?"."""
    try:
        return text(os.path.join(paths.proc, str(pid), "comm")) or "?"
    except OSError:
        return "?"
