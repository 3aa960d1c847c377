"""Several guests at once: one card for two, two cards at the same instant, one service that both need away."""

from __future__ import annotations

import glob
import subprocess

from tests.lab.inside import card, desktop, guest, kernel, managed, programs, standins, units
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.guests import Guest
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

SHARED = "fans.service"


@scenario(seconds=90)
def one_card(lab: Lab) -> None:
    """The card that one guest has is refused to another by name; after the first has stopped, that one gets it."""
    before = guest.remember(lab)
    first, second = Guest("first", 1, guest.CARD), Guest("second", 2, guest.CARD)
    first.define()
    second.define()
    first.start(lab)
    second.is_refused(lab, "first", card.GPU)
    with lab.check("the first guest runs on"):
        expect(truth=guest.state("first") == "running", otherwise=guest.state("first"))
        first.has_devices()
    first.destroy(lab)
    guest.comes_home(lab, "first", before)
    second.start(lab)
    second.destroy(lab)
    guest.comes_home(lab, "second", before)
    managed.has_finished(lab, "both")


@scenario(seconds=90)
def same_instant(lab: Lab) -> None:
    """Two guests with a card each start at the same instant and stop at the same instant: neither waits in vain."""
    machines = _with_cards(lab)
    before = [machine.state() for machine in machines]
    for label in ("first", "second"):
        _all_at_once(lab, f"{label}: both start", [["virsh", "start", machine.name] for machine in machines])
        with lab.check(f"{label}: each has its card, the desktop runs on"):
            for machine in machines:
                machine.has_devices()
            expect(truth=desktop.shows_greeter(), otherwise=desktop.what_runs())
        _all_at_once(lab, f"{label}: both stop", [["virsh", "destroy", machine.name] for machine in machines])
        for machine, state in zip(machines, before, strict=True):
            machine.is_as(lab, state)
        managed.has_finished(lab, label)


@scenario(seconds=70)
def race_for_one(lab: Lab) -> None:
    """Two guests ask for one card at the same instant: one gets it, the other is told who has it."""
    (address,) = standins.plug(lab, 1)
    machines = [Guest("left", 1, (address,)), Guest("right", 2, (address,))]
    for machine in machines:
        machine.define()
    before = machines[0].state()
    with lab.check("one starts, one is refused") as said:
        ended = _run_at_once([["virsh", "start", machine.name] for machine in machines])
        won = [machine for machine, (status, _) in zip(machines, ended, strict=True) if status == 0]
        expect(truth=len(won) == 1, otherwise=f"{ended}")
        (reason,) = (text for status, text in ended if status)
        expect(truth=address in reason and won[0].name in reason, otherwise=reason)
        won[0].has_devices()
        said.append(reason.rpartition("exit status")[2].strip())
    won[0].destroy(lab)
    won[0].is_as(lab, before)
    managed.has_finished(lab, "the race")


@scenario(seconds=90)
def shared_service(lab: Lab) -> None:
    """A service on both cards stops for the first guest and starts again only when the last one has stopped."""
    left, right = _with_cards(lab, f'units = ["{SHARED}"]\n')
    with lab.check("a service has both cards open"):
        nodes = [kernel.dri_node(address) for address in (*left.devices, *right.devices)]
        units.holding(SHARED, *nodes)
        eventually(lambda: bool(card.openers(nodes[1])), 20, "it has not")
    before = [machine.state() for machine in (left, right)]
    for machine in (left, right):
        machine.start(lab)
        with lab.check(f"{machine.name}: the service is stopped"):
            expect(truth=programs.unit(SHARED) == "inactive", otherwise=programs.unit(SHARED))
    left.destroy(lab)
    left.is_as(lab, before[0])
    with lab.check("the other guest still needs it away"):
        eventually(lambda: len(_journals()) == 1, 60, lambda: f"journals: {_journals()}")
        expect(truth=programs.unit(SHARED) == "inactive", otherwise=programs.unit(SHARED))
        right.has_devices()
    right.destroy(lab)
    right.is_as(lab, before[1])
    with lab.check("the service runs again, on both cards"):
        eventually(lambda: programs.unit(SHARED) == "active", 30, lambda: programs.unit(SHARED))
        expect(truth=all(map(card.openers, nodes)), otherwise=f"{list(map(card.openers, nodes))}")
    managed.has_finished(lab, "both")


def _journals() -> list[str]:
    return glob.glob("/run/vfioctl/journal/*")


def _with_cards(lab: Lab, settings: str = "") -> tuple[Guest, Guest]:
    """Two guests, each with a card that was plugged in."""
    one, other = standins.plug(lab, 1, 2)
    machines = Guest("left", 1, (one,)), Guest("right", 2, (other,))
    for machine in machines:
        machine.define(settings)
    return machines


def _all_at_once(lab: Lab, label: str, commands: list[list[str]]) -> None:
    with lab.check(label):
        for status, text in _run_at_once(commands):
            expect(truth=status == 0, otherwise=text)


def _run_at_once(commands: list[list[str]]) -> list[tuple[int, str]]:
    """Exit status and output of each."""
    begun = [
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=programs.ENVIRONMENT)
        for argv in commands
    ]
    return [(child.wait(120), child.stdout.read() if child.stdout else "") for child in begun]
