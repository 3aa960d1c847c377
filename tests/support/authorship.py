"""Who made what on a guest's disks: things of somebody else that get in the way, and things that bear a start's id."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

from hand_offs import DISK, Stage

from vfioctl.kinds.files.marks import MARK
from vfioctl.txn.step import Step

MAKING = ("file.copy", "disk.snapshot")
BYTES = "somebody else's"


def leave_foreign(on: Stage, step: Step) -> str:
    """Somebody makes what the step is about to make, under its name; what that is called in `Stage.look`."""
    if step.kind == "file.copy":
        with open(on.host.paths.at(step.params["dest"]), "w", encoding="utf-8") as file:
            file.write(BYTES)
        return f"file {step.params['dest'].lstrip('/')}"
    subprocess.run(["qemu-img", "snapshot", "-c", step.params["name"], on.root + DISK], check=True)
    return f"snapshot {step.params['name']}"


def made_by(on: Stage, operation: str) -> tuple[str, ...]:
    """Everything on the guest's disks that bears the id of this operation, by mark or by name."""
    return tuple(sorted(_made(on, operation)))


def _made(on: Stage, operation: str) -> Iterator[str]:
    for directory in ("images", "nvram"):
        for entry in os.scandir(os.path.join(on.root, directory)):
            if _mark(entry.path) == operation or entry.name.endswith("vfioctl-new"):
                yield entry.name
    argv = ["qemu-img", "info", "--output=json", on.root + DISK]
    shown = subprocess.run(argv, check=True, capture_output=True)
    for snapshot in json.loads(shown.stdout).get("snapshots", ()):
        if operation in snapshot["name"]:
            yield snapshot["name"]


def _mark(path: str) -> str:
    try:
        return os.getxattr(path, MARK).decode()
    except OSError:
        return ""
