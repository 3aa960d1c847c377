"""Cards on the stand-in named nvidia: its modules are unloaded in order, and an unbind that would hang is not begun."""

from __future__ import annotations

import glob

from tests.lab.inside import card, desktop, guest, managed, programs, standins
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.guests import Guest
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

STACK = ["nvidia", "nvidia_drm", "nvidia_modeset", "nvidia_uvm"]
CONTAINER = "docker-" + "c0ffee" * 10 + "c0de.scope"
# A process with a root of its own, in which the card has another path and the container's cgroup.
IN_CONTAINER = "mount -t tmpfs none /mnt && mknod /mnt/accelerator c 195 0 && exec sleep 1000 </mnt/accelerator"


@scenario(seconds=90, standins=True)
def desktop_card(lab: Lab) -> None:
    """The desktop's own card: persistenced stops, the stack is unloaded, the guest has it; the picture comes back."""
    standins.install(lab)
    with lab.check("the desktop leaves bochs"):
        programs.must(["systemctl", "stop", desktop.MANAGER])
    standins.nvidia(lab, card.GPU, fbdev=True)
    card.HOME[card.GPU] = "nvidia"
    with lab.check("persistenced and the desktop are on it"):
        programs.must(["systemctl", "start", standins.PERSISTENCED, desktop.MANAGER])
        eventually(desktop.shows_greeter, 60, desktop.what_runs)
        lab.channel.ask("still_picture")
    before = guest.remember(lab)
    machine = Guest("gamer", 1, guest.CARD)
    machine.define()
    for label in ("first", "second"):
        machine.start(lab)
        with lab.check(f"{label}: no module of it is left, and persistenced is off") as said:
            expect(truth=not standins.loaded("nvidia"), otherwise=f"loaded: {standins.loaded('nvidia')}")
            expect(truth=programs.unit(standins.PERSISTENCED) == "inactive", otherwise="persistenced runs")
            said.append(f"consoles {card.consoles()}")
        machine.destroy(lab)
        guest.comes_home(lab, label, before)
        with lab.check(f"{label}: the stack is whole again, and persistenced has the card") as said:
            eventually(lambda: standins.loaded("nvidia") == STACK, 30, lambda: f"loaded: {standins.loaded('nvidia')}")
            eventually(_persistenced_holds, 30, lambda: f"{programs.unit(standins.PERSISTENCED)}")
            said += [f"{name} {standins.refcount(name)} {standins.holders(name)}" for name in STACK]
        managed.has_finished(lab, label)


def _persistenced_holds() -> bool:
    holders = card.openers("/dev/nvidia0").values()
    return programs.unit(standins.PERSISTENCED) == "active" and any(comm.startswith("nvidia-pers") for comm in holders)


def plugged(lab: Lab, *ports: int, known_bad: bool = False) -> tuple[str, ...]:
    """More cards in these ports, all on nvidia; their addresses."""
    standins.install(lab, known_bad=known_bad)
    addresses = standins.plug(lab, *ports)
    standins.nvidia(lab, *addresses)
    return addresses


@scenario(seconds=60, standins=True)
def held_in_container(lab: Lab) -> None:
    """A process in a container and a service have the card open: refused, both named, and nothing is stopped."""
    (address,) = plugged(lab, 1)
    with lab.check("a process in a container and a service have it open"):
        scope = ["systemd-run", "--scope", f"--unit={CONTAINER}", "--quiet", "--"]
        inside = programs.spawn([*scope, "unshare", "--mount", "--pid", "--fork", "sh", "-c", IN_CONTAINER])
        programs.as_unit("trainer", ["sleep", "1000"], f"StandardInput=file:{standins.node(address)}")
        eventually(lambda: standins.refcount("nvidia") == "6", 30, lambda: f"refcnt {standins.refcount('nvidia')}")
    machine = Guest("render", 1, (address,))
    machine.define()
    untouched = Untouched(lab, machine)
    pid = programs.unit("trainer", "MainPID")
    machine.is_refused(lab, pid, "trainer.service", "c0ffee", "sleep")
    untouched.check(lab, "refused")
    with lab.check("gpu holders names both"):
        shown = managed.run("gpu", "holders", address)
        for word in (pid, "trainer", "c0ffee"):
            expect(truth=word in shown, otherwise=f"no {word} in: {shown}")
    with lab.check("they end"):
        programs.must(["systemctl", "stop", "trainer"])
        programs.must(["systemctl", "kill", "--signal=KILL", CONTAINER])  # the first of its pids heeds no SIGTERM
        inside.wait(30)
    machine.start(lab)
    with lab.check("the modules are unloaded, the desktop on the other card runs on"):
        expect(truth=not standins.loaded("nvidia"), otherwise=f"loaded: {standins.loaded('nvidia')}")
        expect(truth=desktop.shows_greeter(), otherwise=desktop.what_runs())
    machine.destroy(lab)
    untouched.check(lab, "returned", deadline=60)


class Untouched:
    """That nothing has changed since this was made: the guest's card, the desktop's, the desktop itself."""

    def __init__(self, lab: Lab, *machines: Guest) -> None:
        self.machines = machines
        self.states = [machine.state() for machine in machines]
        self.server = desktop.processes("Xorg")
        self.card = card.snapshot()
        self.modules = standins.loaded("nvidia")
        lab.picture("untouched")

    def check(self, lab: Lab, label: str, deadline: float = 1) -> None:
        for machine, before in zip(self.machines, self.states, strict=True):
            machine.is_as(lab, before, deadline)
        with lab.check(f"{label}: the other card, the modules, the desktop and its picture are as before"):
            eventually(lambda: not self.changed(), deadline, lambda: "; ".join(self.changed()))
            lab.same_picture("untouched", 10)
        managed.has_finished(lab, label)

    def changed(self) -> list[str]:
        found = card.differences(self.card, card.snapshot())
        if standins.loaded("nvidia") != self.modules:
            found.append(f"modules {standins.loaded('nvidia')}")
        if desktop.processes("Xorg") != self.server:
            found.append(f"another X server: {desktop.processes('Xorg')}")
        return found


@scenario(seconds=60, standins=True)
def two_cards(lab: Lab) -> None:
    """Of two cards on one driver one goes alone by unbind; the other works on, and both are home afterwards."""
    given, kept = plugged(lab, 1, 2)
    machine = Guest("render", 1, (given,))
    machine.define()
    with lab.check("a service works on the other card"):
        programs.as_unit("trainer", ["sleep", "1000"], f"StandardInput=file:{standins.node(kept)}")
    untouched = Untouched(lab, machine, Guest("kept", 2, (kept,)))
    with lab.check("the plan says what cannot be seen") as said:
        shown = managed.run("plan", machine.name)
        expect(truth="unbind" in shown and kept in shown, otherwise=shown)
        said.append(f"{len(shown.splitlines())} lines")
    machine.start(lab)
    with lab.check("the stack is loaded, the other card on it and in use"):
        expect(truth=standins.loaded("nvidia") == STACK, otherwise=f"loaded: {standins.loaded('nvidia')}")
        expect(truth=card.driver(kept) == "nvidia", otherwise=f"{kept} is on {card.driver(kept)}")
        expect(truth=programs.unit("trainer") == "active", otherwise="the service on it has ended")
    machine.destroy(lab)
    untouched.check(lab, "returned", deadline=60)
    with lab.check("held itself, it is refused"):
        programs.as_unit("gamer", ["sleep", "1000"], f"StandardInput=file:{standins.node(given)}")
    machine.is_refused(lab, "gamer.service", programs.unit("gamer", "MainPID"))
    untouched.check(lab, "refused")


@scenario(seconds=90, standins=True)
def both_cards(lab: Lab) -> None:
    """Of two cards one goes by unbind, then the last one by unload; they return first come, first home, stack whole."""
    left, right, untouched = _both_given(lab)
    with lab.check("no module of it is left"):
        expect(truth=not standins.loaded("nvidia"), otherwise=f"loaded: {standins.loaded('nvidia')}")
        left.has_devices()
    left.destroy(lab)
    with lab.check("the other guest keeps its card"):
        eventually(lambda: card.driver(left.devices[0]) != "vfio-pci", 60, "the first card stays on vfio-pci")
        right.has_devices()
    right.destroy(lab)
    untouched.check(lab, "both returned", deadline=60)


@scenario(seconds=120, standins=True)
def interleaved_returns(lab: Lab) -> None:
    """A card returns to nvidia while the other guest, whose start unloaded it, keeps its own; and the other way."""
    left, right, untouched = _both_given(lab)
    for back, keeps in ((left, right), (right, left)):
        with lab.check(f"both are given, and no module of it is left, before {back.name} returns"):
            expect(truth=not standins.loaded("nvidia"), otherwise=f"loaded: {standins.loaded('nvidia')}")
        back.destroy(lab)
        with lab.check(f"the card of {back.name} is on nvidia, while {keeps.name} keeps its own"):
            eventually(lambda back=back: _on_nvidia(back), 60, lambda back=back: f"{back.state()}")
            keeps.has_devices()
        with lab.check(f"the return of {back.name} is finished"):
            eventually(lambda back=back: not _open(back), 90, lambda back=back: f"{_open(back)}")
        if back is left:
            left.start(lab)
    left.destroy(lab)
    untouched.check(lab, "both returned", deadline=60)


def _both_given(lab: Lab) -> tuple[Guest, Guest, Untouched]:
    """Two guests that run with a card each, and what was there before."""
    addresses = plugged(lab, 1, 2)
    left, right = Guest("left", 1, addresses[:1]), Guest("right", 2, addresses[1:])
    for machine in (left, right):
        machine.define()
    untouched = Untouched(lab, left, right)
    left.start(lab)
    right.start(lab)
    return left, right, untouched


def _open(machine: Guest) -> list[str]:
    """What is left of a hand-off of this guest, whatever the other one has."""
    places = (f"journal/*{machine.number:012d}.jsonl", f"guests/{machine.name}")
    return [path for place in places for path in glob.glob(f"/run/vfioctl/{place}")]


def _on_nvidia(machine: Guest) -> bool:
    return all(card.driver(address) == "nvidia" for address in machine.devices)


@scenario(seconds=40, standins=True)
def known_bad_version(lab: Lab) -> None:
    """With a version whose unbind hangs, one of two cards is not unbound: refused with version and source."""
    given, kept = plugged(lab, 1, 2, known_bad=True)
    machine = Guest("render", 1, (given,))
    machine.define()
    untouched = Untouched(lab, machine)
    machine.is_refused(lab, "595.58.03", "github.com", kept)
    untouched.check(lab, "refused")


@scenario(seconds=60, standins=True)
def no_plugin(lab: Lab) -> None:
    """Without vfioctl-nvidia, switched off or broken, the card on nvidia is refused and not unbound."""
    given, _ = plugged(lab, 1, 2)
    machine = Guest("render", 1, (given,))
    machine.define('disabled_plugins = ["nvidia"]\n')
    untouched = Untouched(lab, machine)
    machine.is_refused(lab, "disabled_plugins", given, label="switched off: virsh start is refused")
    untouched.check(lab, "switched off")
    machine.define()
    with lab.check("the plugin breaks"):
        (path,) = glob.glob("/opt/vfioctl/lib/python3*/site-packages/vfioctl_nvidia/plugin.py")
        with open(path, "a", encoding="utf-8") as file:
            file.write("\nraise RuntimeError('planted')\n")
    machine.is_refused(lab, "nvidia", label="broken: virsh start is refused")
    untouched.check(lab, "broken")
