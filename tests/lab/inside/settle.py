"""Waits until the booted machine rests, so that saving it saves one picture and no half-done work."""

from __future__ import annotations

from tests.lab.inside import desktop, programs
from tests.lab.inside.checks import eventually
from tests.lab.inside.lab import Lab

BOOT = 180.0


def run(lab: Lab) -> None:
    with lab.check("systemd has started everything") as said:
        eventually(lambda: system_state() in {"running", "degraded"}, BOOT, system_state)
        said.append(system_state())
        failed = programs.must(["systemctl", "list-units", "--failed", "--plain", "--no-legend"])
        said.append(" ".join(failed.split()))
    with lab.check("the greeter is on the card"):
        eventually(desktop.shows_greeter, BOOT, desktop.what_runs)
    with lab.check("libvirtd answers"):
        eventually(lambda: programs.run(["virsh", "version"]).returncode == 0, 60, "it does not")
    rest(lab)


def rest(lab: Lab) -> None:
    """Nothing is queued, the picture stands still, and what may be dropped from memory is."""
    with lab.check("the machine rests"):
        eventually(lambda: "No jobs" in programs.must(["systemctl", "list-jobs"]), 60, "jobs are queued")
        programs.must(["udevadm", "settle"])
        lab.channel.ask("still_picture")
        programs.must(["sync"])
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("3\n")


def system_state() -> str:
    return programs.run(["systemctl", "is-system-running"]).stdout.strip()
