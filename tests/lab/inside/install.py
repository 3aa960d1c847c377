"""Installs vfioctl as README.md says, defines the guest and enables it; then the machine rests."""

from __future__ import annotations

import glob
import os

from tests.lab.inside import card, desktop, guest, programs, settle
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab

VENV = "/opt/vfioctl"
WHEELS = "/lab/wheels"


def run(lab: Lab) -> None:
    with lab.check("vfioctl and its plugins are installed") as said:
        programs.must(["python3", "-m", "venv", VENV], 180)
        wheels = sorted(glob.glob(f"{WHEELS}/vfioctl*.whl"))
        programs.must([f"{VENV}/bin/pip", "install", "--no-index", "--find-links", WHEELS, *wheels], 240)
        os.symlink(f"{VENV}/bin/vfioctl", "/usr/local/bin/vfioctl")
        said.append(programs.must(["vfioctl", "--version"]).strip())
    with lab.check("hook install says which daemon to restart") as said:
        programs.must(["virsh", "version"])  # wakes libvirtd, which ends after two idle minutes
        shown = both(["vfioctl", "hook", "install"])
        expect(truth="systemctl restart libvirtd" in shown, otherwise=shown)
        said.append(" ".join(shown.split())[-200:])
    with lab.check("a plan may take longer here: the machine is emulated, and many times slower than hardware"):
        programs.must(["vfioctl", "config", "set", "deadlines.plan", "40"])
    with lab.check("enable writes the guest file and changes the domain through virsh"):
        guest.define("yes")
        shown = both(["vfioctl", "enable", guest.NAME])
        expect(truth=os.path.exists(f"/etc/vfioctl/guests/{guest.NAME}.toml"), otherwise="there is no guest file")
        expect(truth="managed='no'" in shown, otherwise=f"it does not say managed='no': {shown}")
        kept = programs.must(["virsh", "dumpxml", "--inactive", guest.NAME])
        expect(truth="managed='yes'" not in kept, otherwise=f"libvirt still has managed='yes': {kept}")
    with lab.check("the daemon restarts"):
        programs.must(["systemctl", "restart", "libvirtd"])
        eventually(lambda: programs.run(["virsh", "version"]).returncode == 0, 60, "libvirtd does not answer")
    with lab.check("the card and the desktop are untouched"):
        expect(truth=card.is_home(), otherwise=card.where())
        expect(truth=desktop.shows_greeter(), otherwise=desktop.what_runs())
    settle.rest(lab)


def both(argv: list[str]) -> str:
    """What a person would see of a program that has to succeed: its warnings go to stderr."""
    done = programs.run(argv)
    expect(truth=done.returncode == 0, otherwise=f"{' '.join(argv)} ended with {done.returncode}: {done.stderr}")
    return done.stdout + done.stderr
