"""The step file.fetch from a server on the loopback, also in a process that is killed in the middle of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from downloads import PIECE, Served
from step_builders import OPERATION, planned

from vfioctl.kinds.files.file_fetch import KIND
from vfioctl.txn.machine import Machine
from vfioctl.txn.step import Step
from vfioctl.wait import until

PATH = "/var/lib/image.qcow2"
PART = f".image.qcow2.{OPERATION}.part"
CHILD = """
import json, sys
sys.path[:0] = json.loads(sys.argv[2])
from step_builders import planned
from vfioctl.kinds.files.file_fetch import KIND
from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.txn.machine import Machine
paths = Paths(sys.argv[1])
machine = Machine(paths, Programs(paths.programs))
KIND.apply(planned(machine, "file.fetch", json.loads(sys.argv[3])), machine)
"""


def fetch(machine: Machine, server: Served, **more: Any) -> Step:
    return planned(machine, "file.fetch", {"url": server.url, "path": PATH, "sha256": server.sha256, **more})


def do(step: Step, machine: Machine) -> str | None:
    KIND.guard(step, machine)
    return KIND.apply(step, machine)


def content(machine: Machine, name: str = PATH) -> bytes:
    with open(machine.paths.at(name), "rb") as file:
        return file.read()


def names(machine: Machine) -> list[str]:
    return sorted(os.listdir(machine.paths.at("var/lib")))


def ranges(server: Served) -> list[str | None]:
    return [asked.get("Range") for asked in server.asked]


def kill_half_way(machine: Machine, server: Served, step: Step, at: int = -1) -> str:
    """Another process fetches, and is killed in the middle of it, or after `at` bytes; the part that it leaves."""
    server.half_way(at)
    least = at if at >= 0 else len(server.content) // 2
    part = machine.paths.at("var/lib", PART)
    argv = [sys.executable, "-c", CHILD, machine.paths.root, json.dumps(sys.path), json.dumps(step.params)]
    with subprocess.Popen(argv) as child:
        assert until(lambda: os.path.exists(part) and os.path.getsize(part) >= least - least % PIECE, 20)
        os.kill(child.pid, signal.SIGKILL)
    server.still_at = -1
    server.pause.set()
    return part
