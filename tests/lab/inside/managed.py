"""vfioctl as a user runs it inside: set-up, what it shows, and that it has finished."""

from __future__ import annotations

import glob
import json
import os
from typing import Any

import card
import daemons
from report import Report, eventually, expect


class Vfioctl:
    """The console script of the virtual environment."""

    def __init__(self, program: str) -> None:
        self.program = program

    def run(self, *words: str) -> str:
        return daemons.must([self.program, *words], 90)

    def data(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--format", "json"))["data"]

    def set_up(self, report: Report, name: str) -> None:
        with report.check("hook install") as said:
            said.append(" ".join(self.run("hook", "install").split())[-200:])
        with report.check("enable writes the guest file, and managed='no' or how to") as said:
            shown = self.run("enable", name)
            written = os.path.exists(f"/etc/vfioctl/guests/{name}.toml")
            expect(truth=written, otherwise="there is no guest file")
            domain = daemons.must(["virsh", "dumpxml", "--inactive", name])
            by_itself = "managed='yes'" not in domain  # with libvirt-python
            expect(truth=by_itself or "managed='no'" in shown, otherwise=f"managed='yes' stays: {shown}")
            said.append("changed through libvirt-python" if by_itself else "shown for virsh edit")

    def shows_facts(self, report: Report) -> None:
        with report.check("hook verify"):
            self.run("hook", "verify")
        with report.check("gpu list shows the card"):
            shown = self.run("gpu", "list")
            expect(truth=card.GPU in shown and "bochs" in shown, otherwise=shown)
        with report.check("plan") as said:
            shown = self.run("plan", "lab")
            expect(truth=card.GPU in shown and card.SOUND in shown, otherwise=shown)
            said.append(f"{len(shown.splitlines())} lines")

    def plan_names(self, report: Report, pid: int) -> None:
        with report.check("X server: the plan names it"):
            done = daemons.run([self.program, "plan", "lab"])
            expect(truth=str(pid) in done.stdout + done.stderr, otherwise=done.stdout + done.stderr)

    def says_given(self, report: Report, label: str) -> None:
        with report.check(f"{label}: status says who has the card"):
            shown = self.run("status")
            expect(truth="lab" in shown and card.GPU in shown, otherwise=shown)

    def has_finished(self, report: Report, label: str) -> None:
        with report.check(f"{label}: the return is finished, nothing of it stays behind"):
            eventually(lambda: not leftovers(), 60, f"left: {leftovers()}")

    def times(self) -> dict[str, float]:
        """Seconds of each recorded hand-off, as vfioctl counted them, oldest first."""
        records = self.data("history")["hand_offs"]
        return {f"{number}. {item['event']}": item["duration"] for number, item in enumerate(records[::-1], 1)}


def leftovers() -> list[str]:
    """Open journals, held resources and markers, and helper processes that still run."""
    places = ("journal", "resources", "guests", "stuck")
    found = [path for place in places for path in glob.glob(f"/run/vfioctl/{place}/*")]
    helpers = [path for path in glob.glob("/proc/[0-9]*/cmdline") if "vfioctl.entry" in card.read(path)]
    return found + helpers
