"""Two hand-offs that want the same thing, one case at a time: who is refused, who shares, who waits, who restores."""

from __future__ import annotations

import os
import signal

import pytest
from three_guests import (
    CARDS,
    FIRST,
    OTHER,
    REFUSED,
    SECOND,
    SHARED,
    STOPPED,
    THIRD,
    Guest,
    House,
    Wish,
    is_asked_to_stop,
)

from vfioctl.testing.libvirt import HookCall
from vfioctl.txn.journal import read_both
from vfioctl.txn.plan import Part
from vfioctl.wait import until


def test_a_second_guest_is_refused_a_card_with_the_holders_name(house):
    _, second, third = house.guests
    assert house.start(second).status == 0
    refused = house.start(third)
    assert refused.status == REFUSED
    assert f"{SECOND} is held by guest steam deck." in refused.stderr
    assert house.driver(SECOND) == "vfio-pci"
    assert house.driver(THIRD) == "igb"


def test_a_refusal_for_a_held_card_does_not_ask_to_end_the_other_guests_process(house):
    _, second, third = house.guests
    assert house.start(second).status == 0
    assert "process" not in house.start(third).stderr


def test_a_second_guest_shares_a_stopped_service_and_the_last_one_restores_it(house):
    first, second, _ = house.guests
    assert house.is_active(SHARED)
    assert house.start(first).status == house.start(second).status == 0
    assert not house.is_active(SHARED)
    house.stop(first)
    assert house.is_home(first)
    assert not house.is_active(SHARED)
    assert house.is_active(OTHER)  # nobody else wanted that one
    house.stop(second)
    assert house.is_home(second)
    assert house.is_active(SHARED)


def test_a_service_that_did_not_run_before_the_first_guest_does_not_run_after_the_last(house):
    first, second, _ = house.guests
    for guest, address in ((first, FIRST), (second, SECOND)):
        house.manage(guest, Wish((address,), (STOPPED,)))
        assert house.start(guest).status == 0
    for guest in (first, second):
        house.stop(guest)
        assert house.is_home(guest)
        assert not house.is_active(STOPPED)


def test_of_two_starts_for_one_card_at_the_same_instant_exactly_one_wins(house):
    _, second, third = house.guests
    winner, loser, refused = one_wins(house, second, third)
    assert refused.status == REFUSED
    assert f"{SECOND} is held by guest {winner.name}." in refused.stderr
    assert not house.is_open(loser)


def one_wins(house: House, *guests: Guest) -> tuple[Guest, Guest, HookCall]:
    """Start both at once; who won, who lost, and what the loser was told."""
    calls = [(guest, house.launch_start(guest)) for guest in guests]
    ends = [(guest, house.ended(process)) for guest, process in calls]
    for guest, ended in ends:
        house.follow_start(guest, ended)
    (winner, _), (loser, refused) = sorted(ends, key=lambda end: end[1].status)
    assert winner.runs
    return winner, loser, refused


@pytest.mark.parametrize("number", [1, 2, 3, 6])
def test_a_start_for_a_card_that_another_start_is_at_work_on_is_refused(house, number):
    _, second, third = house.guests
    first_hook, stopped = house.pause(second, "prepare", number)
    refused = house.start(third)
    assert refused.status == REFUSED
    assert f"{SECOND} is held by guest steam deck." in refused.stderr
    os.kill(stopped, signal.SIGCONT)
    assert house.follow_start(second, house.ended(first_hook)).status == 0


def test_a_start_that_wants_the_service_that_another_start_stops_waits_for_it(house):
    first, second, _ = house.guests
    first_hook, stopped = house.pause(first, "prepare", 3)
    second_hook = house.launch_start(second)
    assert until(lambda: house.waits_for(second_hook, "unit:"), 20)
    os.kill(stopped, signal.SIGCONT)
    for guest, hook in ((first, first_hook), (second, second_hook)):
        started = house.follow_start(guest, house.ended(hook))
        assert started.status == 0, started.stderr


def test_two_guests_with_cards_of_their_own_start_at_the_same_instant(house):
    first, second, _ = house.guests
    both_run(house, first, second)
    assert [house.driver(address) for address in CARDS] == ["vfio-pci", "vfio-pci", "igb"]


def test_three_guests_that_share_nothing_start_and_stop_at_the_same_instant(house):
    for guest, address in zip(house.guests, CARDS, strict=True):
        house.manage(guest, Wish((address,)))
    both_run(house, *house.guests)
    calls = [house.launch_stop(guest) for guest in house.guests]
    assert [house.ended(call).status for call in calls] == [0, 0, 0]
    assert house.is_home(*house.guests)


def both_run(house: House, *guests: Guest) -> None:
    calls = [house.launch_start(guest) for guest in guests]
    ends = [house.ended(call) for call in calls]
    assert [end.status for end in ends] == [0] * len(ends), [end.stderr for end in ends]
    for guest, end in zip(guests, ends, strict=True):
        house.follow_start(guest, end)


def test_a_guest_starts_again_while_its_detached_return_still_goes_on(house):
    first, *_ = house.guests
    assert house.start(first).status == 0
    house.qemu_dies(first)
    hook, returning = house.pause(first, "release", in_hook(house, first) + 1)
    assert house.ended(hook).status == 0  # libvirt waits no longer
    again = house.launch_start(first)
    assert until(lambda: house.waits_for(again, "guest-"), 20)
    os.kill(returning, signal.SIGCONT)
    started = house.follow_start(first, house.ended(again))
    assert started.status == 0, started.stderr
    assert house.driver(FIRST) == "vfio-pci"


def in_hook(house: House, guest: Guest) -> int:
    """How many boundaries of the return are passed while libvirt waits."""
    story = read_both(house.host.paths, guest.uuid)
    assert story
    return 2 * sum(item.part is Part.HOOK for item in story.plan.way_back)


def test_a_guest_starts_while_another_one_returns_the_service_that_it_wants_too(house):
    first, second, _ = house.guests
    assert house.start(first).status == 0
    house.qemu_dies(first)
    hook, returning = house.pause(first, "release", in_hook(house, first) + 1)
    assert house.ended(hook).status == 0
    other = house.launch_start(second)
    assert until(lambda: house.waits_for(other, f"guest-{first.uuid}"), 20)
    os.kill(returning, signal.SIGCONT)
    started = house.follow_start(second, house.ended(other))
    assert started.status == 0, started.stderr
    assert house.is_home(first)
    assert not house.is_active(SHARED)


def test_a_start_that_has_waited_for_another_guests_return_leaves_that_guests_next_start_alone(house):
    first, second, _ = house.guests
    assert house.start(first).status == 0
    house.qemu_dies(first)
    house.crash_at(1)
    house.call(first, "release")
    house.crash_at(None)
    hook, returning = house.pause(first, "prepare", 1)  # it finishes its own return first
    other = house.launch_start(second)
    assert until(lambda: house.waits_for(other, f"guest-{first.uuid}"), 20)
    os.kill(returning, signal.SIGCONT)
    ends = [house.ended(call) for call in (hook, other)]  # no QEMU tells the second one that the first has started
    for guest, ended in zip((first, second), ends, strict=True):
        assert house.follow_start(guest, ended).status == 0, ended.stderr
    assert (first.runs, second.runs) == (True, True)
    assert [house.driver(address) for address in (FIRST, SECOND)] == ["vfio-pci", "vfio-pci"]


def test_a_return_that_another_hand_off_keeps_from_its_service_brings_the_card_home_all_the_same(house):
    first, second, _ = house.guests
    assert house.start(first).status == 0
    other, stopped = house.pause(second, "prepare", 3)
    ended = house.ended(house.launch_stop(first))
    assert (ended.status, ended.stderr) == (0, "")
    assert house.driver(FIRST) == "igb"
    assert house.is_open(first)
    os.kill(stopped, signal.SIGCONT)
    started = house.follow_start(second, house.ended(other))
    assert started.status == 0, started.stderr
    assert house.is_home(first)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_start_that_was_killed_restores_the_service_that_another_guest_has_left_to_it(house, number):
    """The other one has stopped it, and left it stopped because the killed one seemed to need it."""
    first, second, _ = house.guests
    assert house.start(second).status == 0
    house.crash_at(number)
    assert house.ended(house.launch_start(first)).status == -signal.SIGKILL
    house.crash_at(None)
    house.stop(second)
    assert house.is_home(second)
    assert house.recover().status == 0
    assert house.is_active(SHARED)
    assert house.holders() == ()


def test_a_start_first_finishes_what_a_killed_one_has_left_of_a_service_that_both_want(house):
    first, second, _ = house.guests
    house.crash_at(4)
    assert house.ended(house.launch_start(first)).status == -signal.SIGKILL
    house.crash_at(None)
    started = house.start(second)
    assert started.status == 0, started.stderr
    assert not house.is_open(first)
    house.stop(second)
    assert house.is_home(second)
    assert house.is_active(SHARED)


def test_an_abort_stops_a_start_that_is_under_way_and_everything_is_back(house):
    first, *_ = house.guests
    hook, stopped = house.pause(first, "prepare", 3)
    abort = house.command("recover", "--abort", first.name)
    assert until(lambda: is_asked_to_stop(stopped), 10)
    os.kill(stopped, signal.SIGCONT)
    aborted = house.follow_start(first, house.ended(hook))
    assert aborted.status not in (0, -signal.SIGKILL)
    assert "asked to stop" in aborted.stderr
    assert house.ended(abort).status == 0
    assert house.holders() == ()
