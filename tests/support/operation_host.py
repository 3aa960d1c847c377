"""A host without any device, as a directory, and one operation on it that is no hand-off.

Each process of it is one of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from recoveries import WITHOUT_PLUGINS

from vfioctl.frozen import replace
from vfioctl.testing.crash import crash_at
from vfioctl.testing.entry import composition
from vfioctl.txn.journal import Story, read_both
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.plan import Plan, Unfinished
from vfioctl.txn.planner import Brief, make_plan
from vfioctl.txn.resources import Ledger
from vfioctl.txn.runner import queue
from vfioctl.txn.step import Lifetime, Scope, StepProposal


class OperationHost:
    """The directory that is a host, and one operation on it, of a kind that nobody has installed.

    `processes`: it has those of this machine, so that it cannot be restarted.
    """

    name: ClassVar[str]
    ours: ClassVar[tuple[str, ...]]  # the files that the operation makes

    def __init__(self, root: Path, *, own: str = "", processes: bool = False) -> None:
        self.root, self.own = root, own
        for place in (".kit", "srv", "usr/bin", "sys/bus/pci/devices"):
            (root / place).mkdir(parents=True, exist_ok=True)
        if processes:
            (root / "proc").symlink_to("/proc")
        else:
            (root / "proc/sys/kernel/random").mkdir(parents=True)
            self.boot("first")
        self.furnish()
        self.key = str(uuid.uuid4())
        self.before = self.files()

    def furnish(self) -> None:
        """What is there before."""

    def wishes(self) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        """The steps, one after the other: id, kind, parameters."""
        raise NotImplementedError

    @property
    def node(self):
        host = composition(str(self.root))
        return host.owned(self.own) if self.own else host

    def boot(self, boot_id: str) -> None:
        """The host begins anew: what lies in /run is gone."""
        (self.root / "proc/sys/kernel/random/boot_id").write_text(f"{boot_id}\n")
        shutil.rmtree(self.root / "run", ignore_errors=True)

    def plan(self, unfinished: Unfinished = Unfinished.UNDO, **changes: Mapping[str, Any]) -> Plan:
        """The operation; `changes` are of the proposals, by their ids."""
        wishes = self.wishes()
        names = tuple(name for name, _, _ in wishes)
        proposals = tuple(
            Proposed("test", replace(
                StepProposal(name, sort, params, "a test", after=names[:number], deadline=60.0, stall=30.0,
                             scope=Scope.TRANSACTION, lifetime=Lifetime.DISK), **changes.get(name, {}),
            )) for number, (name, sort, params) in enumerate(wishes)
        )  # fmt: skip
        brief = Brief(self.name, "a set", self.key, proposals, lambda _steps, _held: (), unfinished=unfinished)
        return make_plan(brief, self.node.machine().host(), Ledger(self.node.paths))

    def run(self) -> int:
        """The process of what is queued; its status."""
        return self.start().wait(60)

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self.node.self_argv, "run", self.key, *filter(None, (self.own,))], cwd="/", stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def command(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """`vfioctl ARGV` on this host, by whoever owns the state."""
        return subprocess.run(
            [*self.node.self_argv, *argv], cwd="/", capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def recover_uninstalled(self) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-I", "-c", WITHOUT_PLUGINS, "--root", str(self.root), "recover"]
        return subprocess.run(argv, cwd="/", capture_output=True, text=True, check=False, timeout=60)

    def story(self) -> Story | None:
        return read_both(self.node.paths, self.key)

    def files(self) -> dict[str, str]:
        """Every file below /srv with its content, hidden ones and half-made ones too."""
        return {str(path.relative_to(self.root)): path.read_bytes().hex() for path in (self.root / "srv").iterdir()}

    def made(self) -> tuple[str, ...]:
        """Which of the files that the operation makes are there."""
        return tuple(name for name in self.ours if (self.root / name).exists())

    def left(self) -> tuple[str, ...]:
        """What vfioctl still keeps of the operation: journals, contents, progress, locks, holders."""
        paths = self.node.paths
        places = (os.path.dirname(paths.boot_journal("x")), os.path.dirname(paths.disk_journal("x")), paths.locks,
                  paths.ledger, paths.blobs)  # fmt: skip
        return tuple(sorted(
            os.path.join(place, name) for place in places if os.path.isdir(place) for name in os.listdir(place)
        ))  # fmt: skip


def killed_at(on: OperationHost, number: int, unfinished: Unfinished = Unfinished.UNDO) -> None:
    """Its process died at boundary `number`."""
    queue(on.node, on.plan(unfinished))
    crash_at(on.root, number)
    assert on.run() == -signal.SIGKILL
    crash_at(on.root, None)
