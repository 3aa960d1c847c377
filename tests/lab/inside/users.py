"""A user who is logged in: at the desktop of the card, by the display manager, and over SSH."""

from __future__ import annotations

import os
import subprocess

from tests.lab.inside import card, desktop, programs
from tests.lab.inside.checks import eventually
from tests.lab.inside.lab import Lab

NAME = "ana"
AUTOLOGIN = f"[Seat:*]\nautologin-user={NAME}\nautologin-session=lab\n"
KEY = "/root/.ssh/lab"


def log_in(lab: Lab) -> None:
    """The display manager starts her session at once instead of the greeter."""
    with lab.check(f"{NAME} is logged in at the desktop"):
        os.makedirs("/etc/lightdm/lightdm.conf.d", exist_ok=True)
        with open("/etc/lightdm/lightdm.conf.d/autologin.conf", "w", encoding="utf-8") as file:
            file.write(AUTOLOGIN)
        programs.must(["systemctl", "restart", desktop.MANAGER])
        eventually(has_desktop, 90, what_runs)
        lab.channel.ask("still_picture", may_be_empty=True)  # her session draws nothing


def sessions() -> list[str]:
    """Lines of loginctl about her."""
    lines = programs.must(["loginctl", "list-sessions", "--no-legend"]).splitlines()
    return [line for line in lines if NAME in line.split()]


def has_desktop() -> bool:
    """Her session's own process runs, on an X server that has the card."""
    own = [pid for pid in desktop.processes("sleep") if "infinity" in card.read(f"/proc/{pid}/cmdline")]
    return bool(own) and any("seat0" in line for line in sessions())


def what_runs() -> str:
    return f"{desktop.what_runs()}; sessions: {sessions()}"


def ssh() -> subprocess.Popen[bytes]:
    """A session of hers over SSH, that lives until it is ended."""
    programs.must(["systemctl", "start", "ssh.service"])
    os.makedirs(os.path.dirname(KEY), mode=0o700, exist_ok=True)
    programs.must(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY])
    home = f"/home/{NAME}/.ssh"
    programs.must(["install", "-d", "-o", NAME, "-g", NAME, "-m", "700", home])
    programs.must(["install", "-o", NAME, "-g", NAME, "-m", "600", f"{KEY}.pub", f"{home}/authorized_keys"])
    options = ["-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes", "-i", KEY]
    child = programs.spawn(["ssh", *options, f"{NAME}@localhost", "sleep 2000"], "/var/log/lab-ssh.log")
    eventually(lambda: len(sessions()) > 1, 60, lambda: f"{sessions()}; {card.read('/var/log/lab-ssh.log')}")
    return child
