"""vfioctl is updated while a guest has the card."""

from __future__ import annotations

import glob
import os

from tests.lab.inside import card, guest, install, managed, programs, wheels
from tests.lab.inside.checks import expect
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

NEW = "0.1.99"


@scenario(seconds=120)
def between_start_and_stop(lab: Lab) -> None:
    """What the old version began, the new one finishes; then it does a whole hand-off of its own."""
    before = guest.remember(lab)
    old = managed.run("--version").strip()
    guest.start(lab, "old version")
    with lab.check("vfioctl and its plugins are updated") as said:
        target = "/var/tmp/wheels"
        os.makedirs(target)
        for path in glob.glob(f"{install.WHEELS}/vfioctl*.whl"):
            wheels.bump(path, target, NEW)
        new = sorted(glob.glob(f"{target}/*.whl"))
        programs.must([f"{install.VENV}/bin/pip", "install", "--no-index", "--no-deps", *new], 240)
        now = managed.run("--version").strip()
        expect(truth=NEW in now and now != old, otherwise=f"{old} became {now}")
        said.append(f"{old}; {now}")
    with lab.check("status knows the hand-off of the old version"):
        shown = managed.run("status")
        expect(truth=guest.NAME in shown and card.GPU in shown, otherwise=shown)
    guest.destroy(lab, "new version")
    guest.comes_home(lab, "new version", before)
    managed.has_finished(lab, "new version")
    with lab.check("hook verify is content, or says what to do") as said:
        done = programs.run(["vfioctl", "hook", "verify"])
        said.append(" ".join((done.stdout + done.stderr).split())[:300])
    guest.start(lab, "again")
    guest.destroy(lab, "again")
    guest.comes_home(lab, "again", before)
    managed.has_finished(lab, "again")
