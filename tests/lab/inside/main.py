"""One order of the outside, run in the agent's fork: settle, install, or a scenario; then its end is told."""

from __future__ import annotations

import glob
import importlib
import io
import os
import signal
import sys
import traceback
from typing import Any, NoReturn

from tests.lab.inside import checks, programs
from tests.lab.inside.channel import Channel
from tests.lab.inside.checks import CheckError
from tests.lab.inside.lab import Lab

JOURNAL = ["journalctl", "--boot=all", "--no-pager", "--output=short-monotonic"]

FILES = (
    "/var/log/vfioctl/**",
    "/run/vfioctl/**",
    "/var/lib/vfioctl/**",
    "/var/log/libvirt/qemu/*",
    "/var/log/lightdm/*",
)


def run(order: dict[str, Any], line: io.FileIO) -> None:
    channel = Channel(line)
    checks.PATIENCE[0] = order["patience"]
    signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(int(order["deadline"]))
    channel.beat()
    verdict, why = "passed", ""
    try:
        body = getattr(importlib.import_module(order["module"]), order["body"])
        body(Lab(channel, order["patience"], order["memory"]))
    except CheckError as failure:
        verdict, why = "failed", str(failure)
    except Exception:  # noqa: BLE001 -- whatever it is, the outside must be told
        verdict, why = "failed", traceback.format_exc()
    signal.alarm(0)
    if verdict == "failed":
        _show_logs(channel)
    channel.end("end", verdict=verdict, why=why)


def _too_late(*_: object) -> NoReturn:
    at = "".join(traceback.format_stack(sys._getframe(1), limit=4))
    raise CheckError(f"The scenario's deadline has passed, in:\n{at}")


def _show_logs(channel: Channel) -> None:
    """What a person wants to see after a failure, as far as it can be had."""
    signal.signal(signal.SIGALRM, _too_late)
    commands = {
        "journal": JOURNAL,
        "units": ["systemctl", "list-units", "--all", "--no-pager", "--full"],
        "processes": ["ps", "-eo", "pid,ppid,stat,wchan:20,unit,args"],
        "dmesg": ["dmesg"],
    }
    for name, argv in commands.items():
        try:
            channel.tell("log", name=name, text=programs.run(argv, 30).stdout[-2_000_000:])
        except CheckError as failure:
            channel.tell("log", name=name, text=str(failure))
    paths = [path for pattern in FILES for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]
    channel.tell("log", name="files", text="".join(_file(path) for path in sorted(paths)))


def _file(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return f"--- {path}\n{file.read()[-30000:]}\n"
    except OSError as error:
        return f"--- {path}: {error}\n"
