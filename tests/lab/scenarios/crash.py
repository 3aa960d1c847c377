"""Whatever dies, and wherever: host and desktop end as they were, or one sentence says what to do."""

from __future__ import annotations

import os
import re

from tests.lab.inside import card, desktop, guest, managed, programs
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

TRACE = "/run/lab-trace"
PARTS = 3
NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
UNKNOWN = "<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='no-such-device'/></qemu:commandline>"


@scenario(seconds=140)
def killed_hook_first_part(lab: Lab) -> None:
    """The hook gets SIGKILL at every third record of its journal, from the first on; recover brings all home."""
    boundaries(lab, 0)


@scenario(seconds=140)
def killed_hook_second_part(lab: Lab) -> None:
    """The same, from the second record on."""
    boundaries(lab, 1)


@scenario(seconds=140)
def killed_hook_third_part(lab: Lab) -> None:
    """The same, from the third record on."""
    boundaries(lab, 2)


def boundaries(lab: Lab, part: int) -> None:
    """Without a desktop, which would take most of the time: the hook called as libvirt would, killed by strace."""
    with lab.check("the desktop is stopped"):
        programs.must(["systemctl", "stop", desktop.MANAGER])
    before = card.snapshot()
    with lab.check("a start through the hook alone, taken home by recover") as said:
        done = hook("-y", "-e", "trace=write")
        expect(truth=done.returncode == 0, otherwise=f"the hook failed: {done.stderr}")
        writes = journal_writes()
        recovered(before)
        said.append(f"the writes that are records: {writes}")
        expect(truth=len(writes) > 2 * PARTS, otherwise="the journal has hardly any")
    for number in writes[part::PARTS]:
        with lab.check(f"killed at its write {number}") as said:
            done = hook("-e", "trace=write", "-e", f"inject=write:signal=SIGKILL:when={number}")
            expect(truth=done.returncode != 0, otherwise="it was not killed")
            said.append(f"then {card.where()}")
            recovered(before)


def hook(*strace: str) -> programs.Done:
    """A prepare, as libvirt calls it, under strace: of the engine alone, which the shim becomes by exec.

    (What it starts is not followed: --seccomp-bpf would make that cheap, but then no signal is injected.)
    """
    xml = programs.must(["virsh", "dumpxml", guest.NAME])
    argv = ["strace", "-q", "-s", "20", "-o", TRACE, *strace, managed.HOOK, guest.NAME, "prepare", "begin", "-"]
    return programs.run(argv, text=xml)


def journal_writes() -> list[int]:
    """Which writes of the engine, counted from 1, append to a journal: it dies before such a record."""
    writes = [line for line in card.read(TRACE).splitlines() if line.startswith("write(")]
    return [number for number, line in enumerate(writes, 1) if re.match(r"write\(\d+<[^>]*/journal/", line)]


def recovered(before: card.Snapshot) -> None:
    """Which console has the screen is not compared: this machine started with VGA text, so its kernel binds the
    framebuffer's console again only with the next framebuffer."""
    programs.must(["vfioctl", "recover"])
    eventually(lambda: not lost(before), 60, lambda: "; ".join(lost(before)))
    eventually(lambda: not managed.leftovers(), 60, lambda: f"left: {managed.leftovers()}")


def lost(before: card.Snapshot) -> list[str]:
    return [line for line in card.differences(before, card.snapshot()) if not line.startswith("console ")]


@scenario(seconds=50)
def power_cut(lab: Lab) -> None:
    """The plug is pulled with the card half-way: after the boot all is as before, and status says what happened."""
    before = guest.remember(lab)
    with lab.check("the start has come to the card"):
        programs.spawn(["virsh", "start", guest.NAME])
        eventually(lambda: card.driver(card.GPU) == "vfio-pci", 60, card.where)
    lab.power_cut(booted_again, before=before)


def booted_again(lab: Lab) -> None:
    """After any boot: the card on its drivers, the greeter on it, nothing unfinished."""
    before = lab.memory["before"]
    guest.comes_home(lab, "booted", before, 150)
    managed.has_finished(lab, "booted")
    with lab.check("status knows of nothing unfinished") as said:
        shown = managed.run("status")
        expect(truth="unfinished" not in shown, otherwise=shown)
        said.append(" ".join(shown.split())[:300])


@scenario(seconds=55)
def power_cut_while_running(lab: Lab) -> None:
    """The plug is pulled while the guest has the card: after the boot all is as before."""
    before = guest.remember(lab)
    guest.start(lab)
    lab.power_cut(booted_again, before=before)


@scenario(seconds=60)
def host_shutdown(lab: Lab) -> None:
    """The host shuts down while the guest has the card: it does so in time, and after the boot all is as before."""
    before = guest.remember(lab)
    guest.start(lab)
    lab.shut_down(booted_again, before=before)


@scenario(seconds=60)
def autostart(lab: Lab) -> None:
    """An autostarted guest gets the card at boot, against the display manager that starts then too; both come back."""
    before = guest.remember(lab)
    programs.must(["virsh", "autostart", guest.NAME])
    lab.shut_down(autostarted, before=before)


def autostarted(lab: Lab) -> None:
    with lab.check("the guest runs, or one sentence says why not") as said:
        eventually(lambda: guest.state() == "running", 150, what_stands_in_the_way)
        said.append(card.where())
    with lab.check("the guest has the card"):
        eventually(lambda: not desktop.processes("Xorg"), 60, desktop.what_runs)
        guest.has_card()
    guest.destroy(lab)
    booted_again(lab)


def what_stands_in_the_way() -> str:
    return f"{guest.state()}: {programs.run(['vfioctl', 'status']).stdout}"


@scenario(seconds=35)
def daemon_restart(lab: Lab) -> None:
    """libvirtd is restarted while the guest runs: the guest keeps the card, and later gives it back."""
    before = guest.remember(lab)
    guest.start(lab)
    qemus = guest.qemus()
    with lab.check("libvirtd restarts, the guest runs on with the card"):
        programs.must(["systemctl", "restart", "libvirtd"])
        eventually(lambda: programs.run(["virsh", "version"]).returncode == 0, 60, "libvirtd does not answer")
        expect(
            truth=guest.state() == "running" and guest.qemus() == qemus, otherwise=f"{guest.state()}, {guest.qemus()}"
        )
        guest.has_card()
    guest.destroy(lab)
    guest.comes_home(lab, "after it", before)
    managed.has_finished(lab, "after it")


@scenario(seconds=20)
def qemu_fails(lab: Lab) -> None:
    """QEMU ends at once, for a reason that nobody can see before: virsh shows its error, and all is as before."""
    before = guest.remember(lab)
    xml = guest.xml("no").replace("<domain type='qemu'>", f"<domain type='qemu' xmlns:qemu='{NAMESPACE}'>{UNKNOWN}", 1)
    with lab.check("virsh start fails with QEMU's own words") as said:
        programs.run(["virsh", "define", "/dev/stdin"], text=xml)
        done = programs.run(["virsh", "start", guest.NAME])
        expect(truth=done.returncode != 0 and "no-such-device" in done.stderr, otherwise=done.stderr or "it started")
        said.append(done.stderr.strip()[-200:])
    guest.comes_home(lab, "failed", before)
    managed.has_finished(lab, "failed")


@scenario(seconds=30)
def removed_while_running(lab: Lab) -> None:
    """vfioctl is removed for good while the guest runs: its undo in shell needs none of it."""
    before = guest.remember(lab)
    guest.start(lab)
    with lab.check("vfioctl, its hook's Python and its configuration are gone"):
        programs.must(["rm", "-rf", "/opt/vfioctl", "/etc/vfioctl"])
        expect(truth=not os.path.exists("/usr/local/bin/vfioctl"), otherwise="the link still leads somewhere")
    guest.destroy(lab)
    guest.comes_home(lab, "without vfioctl", before)
