"""An operation that is no hand-off and that no plugin knows: it writes, replaces, copies, runs and fetches files.

As a program, `python -m building ROOT apply|recover`, it is the process of that operation, which may be killed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from step_builders import plain_machine, put

from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.testing.crash import boundary
from vfioctl.txn import blobs
from vfioctl.txn.clock import Deadline
from vfioctl.txn.journal import Moment, Standing, read_both
from vfioctl.txn.machine import Machine
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.plan import Plan
from vfioctl.txn.planner import Brief, make_plan
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Lifetime, StepProposal
from vfioctl.txn.transaction import Transaction, begun

KEY = "4d7c1f0e-2222-4333-8444-555555555555"
SECONDS = 30.0
PLACE = "/srv/images"
NEW, OLD, SOURCE, COPY = (f"{PLACE}/{name}" for name in ("seed", "old", "vars", "vars.copy"))
IMAGE, RAN = f"{PLACE}/image", f"{PLACE}/ran"
MADE = {"write": NEW, "replace": OLD, "copy": COPY, "fetch": IMAGE}  # the step that makes each


@dataclass(frozen=True, slots=True)
class Building:
    """The machine of the operation, below `root`."""

    root: str

    @property
    def machine(self) -> Machine:
        paths = Paths(self.root)
        return Machine(paths, Programs(paths.programs))

    @classmethod
    def ground(cls, root: str) -> Building:
        """The machine before anything is done."""
        plain_machine(root)
        os.symlink(shutil.which("rm") or "", os.path.join(root, "usr/bin/rm"))
        os.makedirs(os.path.join(root, ".kit"))
        one = cls(root)
        os.makedirs(one.at(PLACE), 0o755)
        os.chmod(put(one.at(OLD), "what was there"), 0o640)
        put(one.at(SOURCE), "variables")
        return one

    def at(self, path: str) -> str:
        return self.root + path

    def plan(self, url: str, sha256: str, *more: StepProposal) -> Plan:
        """The plan, with its content beside the journals; kept for the process that runs it."""
        steps = (*self._steps(url, sha256), *more)
        brief = Brief(
            "test.build", "image:test", KEY, [Proposed("gone", step) for step in steps], lambda *_: (),
        )  # fmt: skip
        made = make_plan(brief, self.machine.host(), Ledger(self.machine.paths))
        assert made.findings == (), made.findings
        with open(self.at("/plan.json"), "w", encoding="utf-8") as file:
            json.dump(made.to_json(), file)
        return made

    def _steps(self, url: str, sha256: str) -> tuple[StepProposal, ...]:
        return (
            self._step("write", "file.write", path=NEW, **self._content("new"), mode="0600"),
            self._step("replace", "file.write", path=OLD, **self._content("young"), replace=True),
            self._step("copy", "file.copy", source=SOURCE, dest=COPY),
            self._step("run", "command.run", argv=["sh", "-c", f"echo x > '{self.at(RAN)}'"],
                       undo_argv=["rm", "-f", self.at(RAN)]),
            self._step("fetch", "file.fetch", url=url, path=IMAGE, sha256=sha256),
        )  # fmt: skip

    def _content(self, text: str) -> dict[str, object]:
        blob = blobs.store(self.machine.paths, text.encode())
        return {"blob": blob.name, "size": blob.size}

    @staticmethod
    def _step(name: str, kind: str, **params: object) -> StepProposal:
        after = {"write": (), "replace": ("write",), "copy": ("replace",), "run": ("copy",), "fetch": ("run",)}[name]
        return StepProposal(name, kind, params, "a test", after=after, deadline=SECONDS, lifetime=Lifetime.DISK)

    def look(self) -> dict[str, tuple[bytes, int, int]]:
        """Every file of the place: bytes, permissions, owner."""
        return {entry.name: _look(entry.path) for entry in os.scandir(self.at(PLACE))}

    def blobs(self) -> list[str]:
        """The names of the content that is kept."""
        place = self.machine.paths.blobs
        return os.listdir(place) if os.path.isdir(place) else []

    def journals(self) -> list[str]:
        paths = self.machine.paths
        return [path for path in (paths.boot_journal(KEY), paths.disk_journal(KEY)) if os.path.exists(path)]

    def cut_power(self) -> None:
        """What was of this boot is gone."""
        shutil.rmtree(self.at("/run"))
        os.mkdir(self.at("/run"))

    def apply(self, *, stop: Callable[[], bool] = bool, observe: Callable[[Moment], None] | None = None) -> str:
        """Begin and apply; undo what was begun when one step fails. Returns the code of that failure, or nothing."""
        with open(self.at("/plan.json"), encoding="utf-8") as file:
            made = Plan.from_json(json.load(file))
        with Transaction(self.machine, made, stop=stop, observe=observe or boundary(self.root)) as one:
            one.begin("boot")
            failure = one.apply(deadline=Deadline(SECONDS))
        if not failure:
            one.forget()
            return ""
        self.recover()
        return failure.code

    def recover(self) -> list[str]:
        """Undo what was begun, as its journal says, and close it; returns what was left to others."""
        story = read_both(self.machine.paths, KEY)
        if story is None:
            return []
        with Transaction(self.machine, story.plan, observe=boundary(self.root)) as one:
            one.reopen(Standing.UNDOING)
            failures = one.undo(begun(story), deadline=Deadline(SECONDS))
            assert failures == (), failures
            one.forget()
        return one.engine.left


def _look(path: str) -> tuple[bytes, int, int]:
    status = os.lstat(path)
    return Path(path).read_bytes(), status.st_mode, status.st_uid


if __name__ == "__main__":
    building = Building(sys.argv[1])
    sys.exit(bool(building.apply() if sys.argv[2] == "apply" else building.recover()))
