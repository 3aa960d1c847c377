"""Guests that start and stop at one instant, and share a module and the sleep inhibitor: nobody stays behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from racks import CARDS, GIVEN, HOME, Rack, machine

from vfioctl.files import Lock
from vfioctl.handoff.way_back import PROOF_SECONDS
from vfioctl.limits import Limits
from vfioctl.testing.crash import crash_at, pause_at, paused
from vfioctl.testing.host import FakeHost
from vfioctl.wait import until

RELEASE_SECONDS = Limits().release
UNSEEN = "not seen: /nowhere exists"
REFUSED = 3
MakeRack = Callable[..., Rack]


@pytest.fixture
def make_rack(tmp_path: Path) -> Iterator[MakeRack]:
    """Makes a server with as many guests as cards, or fewer."""
    with ExitStack() as stack:

        def make(guests: int, *, settings: str = "", systemd: bool = True) -> Rack:
            return Rack(stack.enter_context(FakeHost(machine(systemd=systemd), tmp_path)), guests, settings)

        yield make


def inhibitor(rack: Rack) -> str:
    """The resource that every guest of the rack shares."""
    return next(resource for resource in rack.ledger() if resource.startswith("unit:vfioctl-inhibit"))


# At one instant


@pytest.mark.parametrize("count", [2, 4, CARDS])
def test_guests_that_stop_at_one_instant_all_come_home(make_rack, count):
    rack = make_rack(count)
    rack.give(*rack.guests)
    calls = rack.stop(*rack.guests)
    assert [call.status for call in calls] == [0] * count
    assert max(call.seconds for call in calls) < RELEASE_SECONDS
    assert rack.is_home()
    assert rack.ledger() == ()
    assert rack.host.kernel.inhibitors() == []
    assert all(rack.last(guest)["ok"] for guest in rack.guests)
    assert rack.bugs() == ()


def test_guests_that_start_at_one_instant_all_get_their_cards(make_rack):
    rack = make_rack(CARDS)
    calls = rack.start(*rack.guests)
    assert [call.stderr for call in calls if call.status] == []
    assert {rack.driver(guest) for guest in rack.guests} == {GIVEN}
    rack.stop(*rack.guests)
    assert rack.is_home()
    assert rack.bugs() == ()


def test_some_start_while_others_stop(make_rack):
    rack = make_rack(8)
    early, late = rack.guests[:4], rack.guests[4:]
    rack.give(*early)
    calls = (*rack.launch_stop(*early), *(rack.call(guest, "prepare") for guest in late))
    assert [call.stderr for call in rack.ended(calls) if call.status] == []
    for guest in late:
        rack.run(guest)
    assert rack.is_home(*early)
    assert {rack.driver(guest) for guest in late} == {GIVEN}
    assert len(rack.host.kernel.inhibitors()) == 1
    rack.stop(*late)
    assert rack.is_home()
    assert rack.ledger() == ()


@pytest.mark.parametrize("boundary", [1, 9, 40, 77])
def test_one_of_many_returns_is_killed_and_recover_finishes_it_while_the_others_come_home(make_rack, boundary):
    rack = make_rack(6)
    rack.give(*rack.guests)
    crash_at(rack.host.root, boundary)
    rack.stop(*rack.guests)
    assert until(lambda: len(rack.open()) <= 1, 60)
    assert until(lambda: rack.command("recover").returncode == 0, 60)
    assert rack.is_home()
    assert rack.ledger() == ()
    assert rack.host.kernel.inhibitors() == []


# What never comes


def test_a_proof_that_never_comes_keeps_no_other_guest_waiting(make_rack):
    rack = make_rack(6)
    rack.give(*rack.guests)
    rack.expect_in_vain(*rack.guests)
    began = time.monotonic()
    rack.stop(*rack.guests)
    assert rack.is_home()
    assert time.monotonic() - began < 2 * PROOF_SECONDS  # one after the other it would be six times that
    assert until(lambda: all(UNSEEN in rack.last(guest)["message"] for guest in rack.guests), PROOF_SECONDS)


def test_no_lock_is_held_while_a_proof_is_waited_for(make_rack):
    rack = make_rack(1)
    guest, = rack.guests
    rack.give(guest)
    rack.expect_in_vain(guest)
    rack.stop(guest)
    began = time.monotonic()
    assert rack.is_home()
    assert time.monotonic() - began < PROOF_SECONDS / 2
    names = [os.path.join(rack.host.paths.locks, name) for name in os.listdir(rack.host.paths.locks)]
    assert until(lambda: not any(Lock(name).is_held_elsewhere() for name in names), 3)
    assert f"system/vfioctl-finish-{guest.uuid}.service" in rack.host.kernel.units()


def test_a_guest_starts_again_while_a_proof_is_waited_for_and_keeps_its_own_outcome(make_rack):
    rack = make_rack(1)
    guest, = rack.guests
    rack.give(guest)
    rack.expect_in_vain(guest)
    began = time.monotonic()
    rack.stop(guest)
    assert rack.is_home()
    rack.give(guest)
    assert time.monotonic() - began < PROOF_SECONDS
    assert until(lambda: f"system/vfioctl-finish-{guest.uuid}.service" not in rack.host.kernel.units(), PROOF_SECONDS)
    assert rack.last(guest)["event"] == "prepare"
    assert rack.driver(guest) == GIVEN


# What others have


def test_the_card_is_home_although_another_process_has_what_all_share(make_rack):
    rack = make_rack(2)
    rack.give(*rack.guests)
    first, second = rack.guests
    with Lock(rack.lock(inhibitor(rack))):
        call, = rack.stop(first)
        assert (call.status, rack.driver(first)) == (0, HOME)
        assert call.seconds < RELEASE_SECONDS / 2
        assert first.uuid in rack.open()
        assert "UNFINISHED" not in rack.command("status").stdout
    assert rack.is_home(first)
    rack.stop(second)
    assert rack.is_home()


def test_the_detached_part_tries_again_when_it_does_not_get_its_turn(make_rack):
    rack = make_rack(1, settings="[deadlines]\nfinish = 1\n")
    guest, = rack.guests
    rack.give(guest)
    with Lock(rack.lock(inhibitor(rack))):
        rack.stop(guest)
        assert until(lambda: any("is tried again in 2 s" in log.read_text() for log in rack.logs()), 20)
        assert "UNFINISHED" not in rack.command("status").stdout
        assert guest.uuid in rack.open()
    assert rack.is_home()
    assert rack.last(guest)["ok"]


@pytest.mark.parametrize("systemd", [True, False], ids=["a-unit", "a-process"])
def test_a_hook_that_does_not_get_its_turn_leaves_the_card_to_the_detached_part(make_rack, systemd):
    rack = make_rack(1, settings="[deadlines]\nrelease = 2\nfinish = 1\n", systemd=systemd)
    guest, = rack.guests
    rack.give(guest)
    with Lock(rack.lock(f"pci:{guest.card}")):
        call, = rack.stop(guest)
        assert "the return goes on in the background" in call.stderr
        assert (call.status, rack.driver(guest)) == (0, GIVEN)
        assert call.seconds < 4
        assert until(lambda: any("tried again" in log.read_text() for log in rack.logs()), 20)
    assert rack.is_home()
    assert rack.last(guest)["ok"]


def test_recover_by_hand_says_who_has_what_it_needs(make_rack):
    rack = make_rack(1)
    guest, = rack.guests
    rack.give(guest)
    rack.libvirt.end(guest.name)
    with Lock(rack.lock(inhibitor(rack))):
        said = rack.command("recover", guest.name)
    assert said.returncode == 1
    assert f"is worked on by process {os.getpid()}" in said.stderr
    assert rack.command("recover", guest.name).returncode == 0
    assert rack.is_home()


def test_a_start_waits_for_a_card_that_is_on_its_way_home(make_rack):
    rack = make_rack(2)
    first, second = rack.guests
    rack.libvirt.manage(second.name, f'devices = ["{first.card}"]\n')
    rack.give(first)
    pause_at(rack.host.root, 1)
    release, = rack.launch_stop(first)
    assert until(lambda: paused(rack.host.root) is not None, 30)
    pid = paused(rack.host.root)
    crash_at(rack.host.root, None)
    start = rack.call(second, "prepare")
    assert until(lambda: len(_opened(start.process.pid, f"guest-{first.uuid}")) > 0, 30), start.stderr
    os.kill(pid, signal.SIGCONT)
    rack.ended([release, start])
    assert start.status == 0, start.stderr
    assert (rack.driver(first), rack.driver(second)) == (GIVEN, GIVEN)


def _opened(pid: int, part: str) -> list[str]:
    """What the process has open, by a part of its name; nothing when it is gone."""
    try:
        return [name for fd in os.listdir(f"/proc/{pid}/fd") if part in (name := os.readlink(f"/proc/{pid}/fd/{fd}"))]
    except OSError:
        return []


def test_a_start_for_a_card_that_another_guest_keeps_is_refused_at_once(make_rack):
    rack = make_rack(2)
    first, second = rack.guests
    rack.libvirt.manage(second.name, f'devices = ["{first.card}"]\n')
    rack.give(first)
    refused, = rack.start(second)
    assert (refused.status, refused.seconds < RELEASE_SECONDS) == (REFUSED, True)
    assert f"is held by guest {first.name}." in refused.stderr


# Without Python


def break_python(rack: Rack) -> None:
    """Make the interpreter that the installed hook names unusable, as an update of the distribution does."""
    shim = Path(rack.host.paths.shim)
    lines = ["python=/nonexistent" if line.startswith("python=") else line for line in shim.read_text().splitlines()]
    shim.write_text("\n".join(lines) + "\n")


def test_of_guests_that_undo_sh_brings_home_at_one_instant_the_last_one_restores_what_they_shared(make_rack):
    rack = make_rack(4)
    rack.give(*rack.guests)
    assert len(rack.host.kernel.inhibitors()) == 1
    break_python(rack)
    for guest in rack.guests:  # none has ended when the others look who else holds what they share
        script = Path(rack.host.paths.guest_markers(guest.name), "undo.sh")
        script.write_text(script.read_text().removesuffix("finish\n") + "sleep 4\nfinish\n")
    rack.stop(*rack.guests)
    assert {rack.driver(guest) for guest in rack.guests} == {HOME}
    assert rack.host.kernel.inhibitors() == []
    logs = [path.read_text() for path in Path(rack.host.paths.log).glob("undo-*.log")]
    assert sum("is stopped" in log for log in logs) == 1
    assert sum("still needed by another guest" in log for log in logs) == 3
    assert rack.command("recover").returncode == 0
    assert rack.ledger() == ()
