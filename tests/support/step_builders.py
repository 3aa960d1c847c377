"""Planned steps of real kinds, for tests of steps and of undo.sh. Builds values only."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.step import Phase, Step

GPU = "0000:01:00.0"
AUDIO = "0000:01:00.1"
OPERATION = "3f9ac2d1"


def planned(machine: Machine, name: str, params: dict[str, Any], **changes: Any) -> Step:
    """A step as the planner would make it now: its baseline is taken from the machine."""
    form = kind(name)
    fields: dict[str, Any] = {
        "id": name.replace(".", "-"), "kind": name, "params": params, "reason": "a test", "phase": Phase.GIVE,
        "resource": form.resource(params), "undo": form.undo_of(params), "scope": form.scope,
        "lifetime": form.lifetime, "plugin": "test", "deadline": 3.0, "touches": form.touches(params),
    }  # fmt: skip
    if "baseline" not in changes:
        mark = {"operation": OPERATION} if form.marks else {}
        fields["baseline"] = {**form.baseline(params, machine.host()), **mark}
    return Step(**{**fields, **changes})


def plain_machine(root: str) -> Machine:
    """A machine of plain files, with the real /proc and the real tools that steps run."""
    paths = Paths(root)
    for directory in ("sys", "usr/bin", "run", "var/log", "var/lib"):
        os.makedirs(paths.at(directory), exist_ok=True)
    os.symlink("/proc", paths.proc)
    for tool in ("kill", "qemu-img", "sh"):
        if found := shutil.which(tool):
            os.symlink(found, paths.at("usr/bin", tool))
    return Machine(paths, Programs(paths.programs))


def put(path: str, text: str) -> str:
    """Write a file with its parents."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def program(machine: Machine, name: str, script: str) -> None:
    """Install a shell script as a program of the machine. The link to a real one gives way first."""
    path = machine.paths.at("usr/bin", name)
    if os.path.islink(path):
        os.unlink(path)
    os.chmod(put(path, f"#!/bin/sh\n{script}\n"), 0o755)


def dash(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `script` under dash."""
    argv = ["dash", "-c", script, "dash", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL)
