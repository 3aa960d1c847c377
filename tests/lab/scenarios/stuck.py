"""A card that the kernel does not let go of: told as stuck within the deadline, and everything else goes on."""

from __future__ import annotations

import os

from tests.lab.inside import card, desktop, guest, kernel, managed, programs, standins
from tests.lab.inside.checks import eventually, expect, holds
from tests.lab.inside.guests import Guest
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

SETTLED = 3.0  # seconds in which nothing that was queued lands


@scenario(seconds=120, standins=True)
def endless_unbind(lab: Lab) -> None:
    """A use that no process shows: the unbind never ends, nothing is written. Once it ends, the card comes home."""
    given, kept = standins.plug(lab, 1, 2)
    machine = _stuck(lab, given, kept)
    waiting = _one_waits(lab)
    _answers(lab, given)
    machine.guest.is_refused(lab, given, "stuck", label="another start is refused at once")
    with lab.check("recover does not wait for it either"):
        programs.run(["vfioctl", "recover"], 30)
        expect(truth=kernel.waiting() == waiting, otherwise=f"waiting: {kernel.waiting()}")
    with lab.check("the count falls: the kernel goes on, and nothing that was queued lands"):
        standins.leak(0, machine.minor)
        eventually(lambda: not kernel.waiting(), 30, lambda: f"waiting: {kernel.waiting()}")
        settled = machine.guest.state()
        holds(lambda: machine.guest.state() == settled, SETTLED, lambda: f"{settled} became {machine.guest.state()}")
        expect(truth=card.driver(given) in {"", "nvidia"}, otherwise=f"{given} is on {card.driver(given)}")
    with lab.check("status says no more that it is stuck"):
        eventually(lambda: not managed.data("status")["stuck"], 30, lambda: managed.run("status"))
    _recovers(lab, machine)


@scenario(seconds=90, standins=True)
def endless_unload(lab: Lab) -> None:
    """The same with one card: the unload never ends. Told as stuck within the deadline, and libvirtd answers."""
    (address,) = standins.plug(lab, 1)
    machine = _stuck(lab, address, says="does not return")
    _one_waits(lab)
    _answers(lab, address)
    with lab.check("the count falls: the kernel goes on"):
        standins.leak(0, machine.minor)
        eventually(lambda: not os.path.exists("/sys/module/nvidia"), 30, "nvidia is still there")
    _recovers(lab, machine)


@scenario(seconds=120, standins=True)
def reset(lab: Lab) -> None:
    """No power-off ends while a card is stuck: status says what does, and after it all is as before."""
    lab.picture(guest.PICTURE)
    (address,) = standins.plug(lab, 1)
    _stuck(lab, address, says="does not return")
    with lab.check("status says how the machine is booted then") as said:
        shown = managed.run("status")
        for word in ("power-off", "sync", "/proc/sysrq-trigger"):
            expect(truth=word in shown, otherwise=f"no {word} in: {shown}")
        said.append(next(line.strip() for line in shown.splitlines() if "sysrq" in line))
    lab.reset(booted, address=address)


def booted(lab: Lab) -> None:
    address = lab.memory["address"]
    with lab.check("the card is on its driver, the greeter on the other one"):
        eventually(lambda: card.driver(address) == "bochs-drm", 60, f"{address} is on {card.driver(address)}")
        eventually(desktop.shows_greeter, 120, desktop.what_runs)
        lab.same_picture(guest.PICTURE)
    managed.has_finished(lab, "booted")
    with lab.check("status knows of nothing stuck or unfinished"):
        now = managed.data("status")
        expect(truth=not now["stuck"] and not now["hand_offs"], otherwise=managed.run("status"))


class Stuck:
    """A guest with a card whose users the stand-in counts wrongly, and the state from before."""

    def __init__(self, address: str) -> None:
        self.guest = Guest("render", 1, (address,))
        self.guest.define()
        self.before = self.guest.state()
        self.minor = standins.minor(address)
        standins.leak(1, self.minor)


def _stuck(lab: Lab, *addresses: str, says: str = "stuck") -> Stuck:
    """These cards on the stand-in, and the first one stuck by a start that was refused in time."""
    standins.install(lab)
    standins.nvidia(lab, *addresses)
    machine = Stuck(addresses[0])
    machine.guest.is_refused(lab, says, label=f"virsh start fails and says {says!r}")
    return machine


def _recovers(lab: Lab, machine: Stuck) -> None:
    with lab.check("recover brings it home") as said:
        said.append(" ".join(managed.run("recover").split()))
    machine.guest.is_as(lab, machine.before)
    managed.has_finished(lab, "recovered")


def _one_waits(lab: Lab) -> dict[str, str]:
    with lab.check("one process waits in the kernel, and it is the only one") as said:
        waiting = kernel.waiting()
        expect(truth=len(waiting) == 1, otherwise=f"waiting: {waiting}")
        said.append(f"{waiting}, nvidia {standins.refcount('nvidia')} {card.read('/sys/module/nvidia/initstate')}")
    return waiting


def _answers(lab: Lab, address: str) -> None:
    for command in ("virsh list --all", "vfioctl status", "vfioctl gpu list", "vfioctl plan render"):
        words = command.split()
        with lab.check(f"{command} answers") as said:
            done, seconds = programs.timed(words, 20)
            expect(truth="plan" in words or done.returncode == 0, otherwise=done.stderr)
            if words[:2] == ["vfioctl", "status"]:
                expect(truth="stuck" in done.stdout and address in done.stdout, otherwise=done.stdout)
            said.append(f"{seconds:.1f} s: {' '.join((done.stdout + done.stderr).split())[:300]}")
