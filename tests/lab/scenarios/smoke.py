"""What must hold before anything else: the card goes to the guest and comes home, and a held card is refused."""

from __future__ import annotations

import os
import signal

from tests.lab.inside import card, desktop, guest, managed, programs
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

SOUND_NODE = "/dev/snd/controlC0"


@scenario(seconds=12)
def facts(lab: Lab) -> None:
    """vfioctl sees the card, the desktop on it and the group, and its plan names them."""
    with lab.check("the card is on its own drivers, in one group, with a console") as said:
        expect(truth=card.is_home(), otherwise=card.where())
        members = os.listdir(f"/sys/kernel/iommu_groups/{card.group()}/devices")
        expect(truth={card.GPU, card.SOUND} <= set(members), otherwise=f"the group holds {members}")
        said.append(f"{card.where()}; group of {sorted(members)}")
    with lab.check("hook verify is content"):
        managed.run("hook", "verify")
    with lab.check("gpu list shows the card"):
        shown = managed.run("gpu", "list")
        expect(truth=card.GPU in shown and "bochs" in shown, otherwise=shown)
    with lab.check("plan shows both functions, the console and the display manager") as said:
        shown = managed.run("plan", guest.NAME)
        for word in (card.GPU, card.SOUND, "lightdm"):
            expect(truth=word in shown, otherwise=f"no {word} in: {shown}")
        said.append(f"{len(shown.splitlines())} lines")


@scenario(seconds=60)
def hand_off(lab: Lab) -> None:
    """As managed='no', then as 'yes' in the same daemon: the desktop goes and comes back, pixel by pixel."""
    before = guest.remember(lab)
    for label, mode in (("managed='no'", "no"), ("managed='yes'", "yes")):
        guest.define(mode)
        guest.start(lab, label)
        with lab.check(f"{label}: status says who has the card"):
            shown = managed.run("status")
            expect(truth=guest.NAME in shown and card.GPU in shown, otherwise=shown)
        guest.destroy(lab, label)
        guest.comes_home(lab, label, before)
        managed.has_finished(lab, label)
    for name, seconds in managed.times().items():
        lab.time(f"vfioctl's own record, {name}", seconds)


@scenario(seconds=15)
def held(lab: Lab) -> None:
    """A card that a service holds is refused: holder and unit are named, and the desktop stays."""
    held_node(lab, desktop.NODE)


@scenario(seconds=15)
def held_sound(lab: Lab) -> None:
    """An open sound node is refused: the kernel would wait for ever in the unbind of its function."""
    held_node(lab, SOUND_NODE)


def held_node(lab: Lab, node: str) -> None:
    with lab.check(f"a service has {node} open"):
        programs.as_unit("lab-holder", ["sleep", "1000"], f"StandardInput=file:{node}")
        pid = programs.unit("lab-holder", "MainPID")
        eventually(lambda: int(pid) in card.openers(node), 20, f"it has not: {card.openers(node)}")
    before = guest.remember(lab)
    with lab.check("virsh start is refused, with pid and unit of the holder") as said:
        done, seconds = programs.timed(["virsh", "start", guest.NAME])
        expect(truth=done.returncode != 0, otherwise="the guest started")
        for word in (pid, "lab-holder.service"):
            expect(truth=word in done.stderr, otherwise=f"no {word} in: {done.stderr.strip()}")
        lab.time("refused virsh start", seconds)
        said.append(done.stderr.strip().rpartition("exit status")[2].partition(":")[2].strip())
    with lab.check("the plan names it too"):
        done = programs.run(["vfioctl", "plan", guest.NAME])
        expect(truth=pid in done.stdout + done.stderr, otherwise=done.stdout + done.stderr)
    with lab.check("nothing has changed, the desktop runs on"):
        after = card.snapshot()
        expect(truth=before == after, otherwise="; ".join(card.differences(before, after)))
        expect(truth=desktop.shows_greeter(), otherwise=desktop.what_runs())
        lab.same_picture(guest.PICTURE, 10)
    managed.has_finished(lab, "refused")


@scenario(seconds=40)
def broken_python(lab: Lab) -> None:
    """The virtual environment is gone when the guest stops: the undo in shell brings the card and the desktop home."""
    before = guest.remember(lab)
    guest.start(lab)
    os.rename("/opt/vfioctl", "/opt/elsewhere")
    guest.destroy(lab)
    guest.comes_home(lab, "without Python", before)
    with lab.check("the rendered undo.sh did it"):
        mark = f"/run/vfioctl/guests/{guest.NAME}/undone-by-sh"
        expect(truth=card.read(mark) == "0", otherwise=f"{mark}: {card.read(mark)}")
    os.rename("/opt/elsewhere", "/opt/vfioctl")
    with lab.check("recover finishes it"):
        managed.run("recover")
    managed.has_finished(lab, "recovered")


@scenario(seconds=30)
def daemon_and_qemu_killed(lab: Lab) -> None:
    """libvirtd and QEMU end at once: when the daemon is back it calls stopped and release, and the card comes home."""
    before = guest.remember(lab)
    guest.start(lab)
    with lab.check("both are killed, systemd starts the daemon again"):
        kill_daemon()
        guest.kill_qemu()
        eventually(lambda: programs.run(["virsh", "version"]).returncode == 0, 60, "libvirtd does not answer")
    guest.comes_home(lab, "killed", before)
    managed.has_finished(lab, "killed")


@scenario(seconds=30)
def daemon_killed_in_prepare(lab: Lab) -> None:
    """libvirtd dies in mid-prepare: no hook comes any more, and the dead-man brings the card home."""
    before = guest.remember(lab)
    with lab.check("libvirtd is killed while the hook works"):
        asking = programs.spawn(["virsh", "start", guest.NAME])
        eventually(lambda: not desktop.processes("Xorg"), 60, "prepare did not come to the display manager")
        kill_daemon()
        asking.wait(60)
        expect(truth=not guest.qemus(), otherwise="too late: QEMU has the card")
    guest.comes_home(lab, "dead-man", before)
    managed.has_finished(lab, "dead-man")


def kill_daemon() -> None:
    """By its main process alone, as a crash would; its unit is restarted by systemd."""
    os.kill(int(programs.unit("libvirtd", "MainPID")), signal.SIGKILL)
