"""An operation that is no hand-off: it copies, writes, replaces, downloads files and runs a command.

Its host is a directory without any device; each process of it is one of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from downloads import Served
from recoveries import WITHOUT_PLUGINS

from vfioctl.frozen import replace
from vfioctl.testing.entry import composition
from vfioctl.txn import blobs
from vfioctl.txn.journal import Story, read_both
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.plan import Plan, Unfinished
from vfioctl.txn.planner import Brief, make_plan
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Lifetime, Scope, StepProposal

NAME = "files set"  # of an operation that nobody has installed
STEPS = ("copy", "write", "replace", "note", "fetch")
BOUNDARIES = tuple(range(1, 2 * len(STEPS) + 1))
NOTE = """#!/bin/sh
case $1 in
add) echo noted >"{root}/srv/noted" ;;
remove) /bin/rm -f "{root}/srv/noted" ;;
esac
"""
OURS = ("srv/copied", "srv/written", "srv/noted", "srv/fetched")


class FilesHost:
    """The directory that is a host, its server, and one operation on it.

    `processes`: it has those of this machine, so that it cannot be restarted.
    """

    def __init__(self, root: Path, served: Served, *, own: str = "", processes: bool = False) -> None:
        self.root, self.served, self.own = root, served, own
        for place in (".kit", "srv", "usr/bin", "sys/bus/pci/devices"):
            (root / place).mkdir(parents=True, exist_ok=True)
        if processes:
            (root / "proc").symlink_to("/proc")
        else:
            (root / "proc/sys/kernel/random").mkdir(parents=True)
            self.boot("first")
        (root / "srv/source").write_text("source")
        (root / "srv/replaced").write_text("before")
        program = root / "usr/bin/note"
        program.write_text(NOTE.format(root=root))
        program.chmod(0o755)
        self.key = str(uuid.uuid4())
        self.before = self.files()

    @property
    def node(self):
        host = composition(str(self.root))
        return host.owned(self.own) if self.own else host

    def boot(self, boot_id: str) -> None:
        """The host begins anew: what lies in /run is gone."""
        (self.root / "proc/sys/kernel/random/boot_id").write_text(f"{boot_id}\n")
        shutil.rmtree(self.root / "run", ignore_errors=True)

    def plan(self, unfinished: Unfinished = Unfinished.UNDO, **fetch: Any) -> Plan:
        node = self.node
        written, instead = (blobs.store(node.paths, text) for text in (b"written", b"after"))
        url = {"url": self.served.url, "path": "/srv/fetched", "sha256": self.served.sha256}
        wishes = (
            ("copy", "file.copy", {"source": "/srv/source", "dest": "/srv/copied"}),
            ("write", "file.write", {"path": "/srv/written", "blob": written.name, "size": written.size}),
            ("replace", "file.write", {
                "path": "/srv/replaced", "blob": instead.name, "size": instead.size, "replace": True,
            }),
            ("note", "command.run", {"argv": ["note", "add"], "undo_argv": ["note", "remove"]}),
            ("fetch", "file.fetch", url),
        )  # fmt: skip
        proposals = tuple(
            Proposed("test", replace(
                StepProposal(name, sort, params, "a test", after=STEPS[:number], deadline=60.0, stall=30.0,
                             scope=Scope.TRANSACTION, lifetime=Lifetime.DISK), **(fetch if name == "fetch" else {}),
            )) for number, (name, sort, params) in enumerate(wishes)
        )  # fmt: skip
        brief = Brief(NAME, "a set", self.key, proposals, lambda _steps, _held: (), unfinished=unfinished)
        return make_plan(brief, node.machine().host(), Ledger(node.paths))

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
        return tuple(name for name in OURS if (self.root / name).exists())

    def left(self) -> tuple[str, ...]:
        """What vfioctl still keeps of the operation: journals, contents, progress, locks, holders."""
        paths = self.node.paths
        places = (os.path.dirname(paths.boot_journal("x")), os.path.dirname(paths.disk_journal("x")), paths.locks,
                  paths.ledger, paths.blobs)  # fmt: skip
        return tuple(sorted(
            os.path.join(place, name) for place in places if os.path.isdir(place) for name in os.listdir(place)
        ))  # fmt: skip
