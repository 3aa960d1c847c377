"""What goes wrong on a real kernel: a held card, a broken Python, a daemon and a QEMU that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import card
import daemons
import guest
from managed import Vfioctl, leftovers
from report import Report, eventually, expect

SOUND_NODE = "/dev/snd/controlC0"
UNDONE = f"/run/vfioctl/guests/{guest.NAME}/undone-by-sh"


def refused_under_x(report: Report, vfioctl: Vfioctl | None) -> None:
    """The start is refused with the pid of an X server on the card, and nothing has changed."""
    with report.check("an X server holds the card"):
        server = daemons.XServer()
        server.wait()
    before = card.snapshot()
    _refused(report, "X server", server.pid)
    if vfioctl:
        vfioctl.plan_names(report, server.pid)
    with report.check("X server: nothing has changed"):
        expect(truth=server.runs, otherwise="the X server ended")
        _unchanged(before)
    server.end()


def refused_under_sound(report: Report) -> None:
    """The kernel would wait for ever in the unbind of a sound function with an open node (seen: D state)."""
    with open(SOUND_NODE, "rb") as node:
        holder = subprocess.Popen(["sleep", "600"], stdin=node)
    before = card.snapshot()
    _refused(report, "open sound node", holder.pid)
    with report.check("open sound node: nothing has changed"):
        _unchanged(before)
    holder.kill()
    holder.wait()


def _refused(report: Report, label: str, pid: int) -> None:
    with report.check(f"{label}: virsh start is refused and names the process") as said:
        done, seconds = daemons.timed(["virsh", "start", guest.NAME])
        report.times[f"{label}: refused virsh start"] = seconds
        expect(truth=done.returncode != 0, otherwise="the guest started")
        expect(truth=str(pid) in done.stderr, otherwise=f"no pid {pid} in: {done.stderr.strip()}")
        said.append(done.stderr.strip().rpartition("exit status")[2].partition(":")[2].strip())


def _unchanged(before: card.Snapshot) -> None:
    after = card.snapshot()
    expect(truth=before == after, otherwise="; ".join(card.differences(before, after)))


def broken_python(report: Report, vfioctl: Vfioctl, venv: str) -> None:
    """The interpreter is gone when the guest stops: the undo that prepare rendered as shell brings the card home."""
    label = "broken Python"
    guest.define("no")
    guest.start(report, label)
    with hidden(venv):
        guest.stop(report, label)
    with report.check(f"{label}: the rendered undo.sh did it"):
        expect(truth=card.read(UNDONE) == "0", otherwise=f"{UNDONE}: {card.read(UNDONE)}")
    with report.check(f"{label}: recover finishes it"):
        vfioctl.run("recover")
        eventually(lambda: not leftovers(), 30, f"left: {leftovers()}")


@contextmanager
def hidden(directory: str) -> Iterator[None]:
    """Nothing in `directory` is there meanwhile."""
    daemons.must(["mount", "-t", "tmpfs", "tmpfs", directory])
    try:
        yield
    finally:
        daemons.must(["umount", directory])


def all_killed(report: Report, vfioctl: Vfioctl, libvirtd: daemons.Libvirtd) -> None:
    """libvirtd and QEMU end at once: when the daemon is back it calls stopped and release."""
    label = "libvirtd and QEMU killed"
    guest.start(report, label)
    with report.check(f"{label}: the card comes home when the daemon is back"):
        libvirtd.kill()
        for pid in card.openers(f"/dev/vfio/{card.group()}"):
            os.kill(pid, signal.SIGKILL)
        libvirtd.restart()
        eventually(guest.is_home, 60, f"drivers {card.driver(card.GPU)!r}, {card.driver(card.SOUND)!r}")
    vfioctl.has_finished(report, label)


def killed_in_prepare(report: Report, vfioctl: Vfioctl, libvirtd: daemons.Libvirtd) -> None:
    """No hook will ever be called for this guest again: the dead-man brings the card home, nobody else acts."""
    label = "libvirtd killed in mid-prepare"
    with report.check(f"{label}: the dead-man brings the card home") as said:
        asking = daemons.spawn(["virsh", "start", guest.NAME], "/var/log/virsh.out")
        eventually(lambda: card.driver(card.GPU) == "vfio-pci", 60, "prepare did not come to the card")
        libvirtd.kill()
        asking.wait(30)
        expect(truth=not card.openers(f"/dev/vfio/{card.group()}"), otherwise="too late: QEMU has the card")
        eventually(guest.is_home, 60, f"drivers {card.driver(card.GPU)!r}, {card.driver(card.SOUND)!r}")
        said.append(f"{card.driver(card.GPU)}, {card.driver(card.SOUND)}; libvirtd not running")
    vfioctl.has_finished(report, label)
    libvirtd.restart()
