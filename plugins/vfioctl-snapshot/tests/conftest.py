"""A guest with real images and the real qemu-img, below a root of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from vfioctl.config.model import GuestConfig
from vfioctl.events.model import Disk, Domain
from vfioctl.host.host import Host
from vfioctl.paths import Paths
from vfioctl.plugin.types import Request, StepProposal
from vfioctl.proc import Programs
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.step import Step

NOW = 1795256130.0  # 2026-11-21T10:15:30Z
UUID = "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11"
QEMU_IMG = shutil.which("qemu-img") or ""


class Bench:
    """One guest, `win11`, whose images lie in /images below the root."""

    def __init__(self, root: str) -> None:
        self.paths = Paths(root)
        os.makedirs(self.paths.at("usr/bin"))
        for directory in ("images", "proc"):
            os.makedirs(self.paths.at(directory))
        for program in filter(None, (QEMU_IMG, shutil.which("rm"))):
            os.symlink(program, self.paths.at("usr/bin", os.path.basename(program)))
        self.machine = Machine(self.paths, Programs(self.paths.programs))

    def qemu_img(self, *arguments: str) -> str:
        return subprocess.run([QEMU_IMG, *arguments], check=True, capture_output=True, text=True).stdout

    def image(self, name: str, *, form: str = "qcow2", options: tuple[str, ...] = ()) -> str:
        """An image of 1 MiB; its path on the host."""
        self.qemu_img("create", "-q", "-f", form, *options, self.paths.at("images", name), "1M")
        return f"/images/{name}"

    def disk(self, target: str, **more: Any) -> Disk:
        """A qcow2 disk with a new image, unless `more` says otherwise."""
        facts = {"type": "file", "device": "disk", "format": "qcow2", **more}
        if "source" not in facts:
            facts["source"] = self.image(f"{target}.{facts['format']}", form=facts["format"])
        return Disk(target=target, **facts)

    def request(self, *disks: Disk, now: float = NOW, incoming: bool = False, **more: Any) -> Request:
        """`settings` go into the table [snapshot], everything else into the domain."""
        table = {"enabled": True, **more.pop("settings", {})}
        domain = Domain(name="win11", uuid=UUID, disks=disks, **more)
        host = Host(self.paths, self.machine.programs)
        config = GuestConfig("win11", tables={"snapshot": table})
        return Request("win11", UUID, domain, config, host, (), incoming, now)

    def snapshots(self, path: str) -> list[str]:
        shown = json.loads(self.qemu_img("info", "--output=json", self.paths.at(path)))
        return [snapshot["name"] for snapshot in shown.get("snapshots", ())]

    def content(self, path: str) -> str:
        """The first byte that a guest would read."""
        return self.qemu_io(path, "read -v 0 1").split()[1]

    def fill(self, path: str, pattern: str) -> None:
        self.qemu_io(path, f"write -P {pattern} 0 1M")

    def qemu_io(self, path: str, command: str) -> str:
        argv = ["qemu-io", "-f", "qcow2", "-c", command, self.paths.at(path)]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def step(self, proposal: StepProposal) -> Step:
        """`proposal` as the planner makes it."""
        form = kind(proposal.kind)
        return Step(
            id=proposal.id, kind=proposal.kind, params=proposal.params, reason=proposal.reason, phase=proposal.phase,
            resource=form.resource(proposal.params), baseline=form.baseline(proposal.params, self.machine.host()),
            undo=form.undo_class, scope=form.scope, lifetime=form.lifetime, plugin="snapshot",
            deadline=proposal.deadline,
        )  # fmt: skip

    def carry_out(self, *proposals: StepProposal) -> tuple[Step, ...]:
        """Check and apply each, as the engine does."""
        steps = tuple(self.step(proposal) for proposal in proposals)
        for proposal, step in zip(proposals, steps, strict=True):
            assert not list(kind(step.kind).check(proposal, self.machine.host()))
            kind(step.kind).apply(step, self.machine)
        return steps


@pytest.fixture
def bench(tmp_path) -> Bench:
    if not QEMU_IMG:
        pytest.skip("qemu-img is not installed (apt install qemu-utils)")
    return Bench(str(tmp_path))


@pytest.fixture
def codes() -> Callable[..., list[tuple[str, str]]]:
    """Code and severity of each finding."""
    return lambda findings: [(item.code, str(item.severity)) for item in findings]
