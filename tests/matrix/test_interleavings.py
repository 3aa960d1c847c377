"""Three guests that share cards and services start, stop, crash and are edited in any order, also at the same instant.

Whatever comes, what nobody holds is as it was before the first start; and no call waits for ever.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from three_guests import CARDS, OTHER, REFUSED, SHARED, UNITS, Guest, House, Wish, is_asked_to_stop, meet

from vfioctl.testing.libvirt import HookCall
from vfioctl.wait import until

EXAMPLES = {"dev": 2, "ci": 10, "all": 150}
STEPS = 12
GUESTS = st.integers(0, 2)  # the remainder chooses among those that the step is for
BOUNDARIES = st.integers(1, 14)
WISHES = st.builds(
    Wish,
    st.lists(st.sampled_from(sorted(CARDS)), max_size=2, unique=True).map(tuple),
    st.lists(st.sampled_from(UNITS), max_size=2, unique=True).map(tuple),
)


class Interleavings(RuleBasedStateMachine):
    """What three guests do to one machine. Predicts who may start; says what must be true after each step.

    Which of two contenders wins is not hypothesis's to decide, so no rule has a precondition: where a step has no guest
    to be done to, another one is done.
    """

    house: House
    seen: Counter[str]

    @initialize(order=st.permutations(range(3)))
    def begin(self, order: list[int]) -> None:
        """Two guests start at the same instant, then the third: whatever the order, one is refused and two share."""
        self.sound = True
        self.at_the_same_instant(order[:2], beside=False)
        guest = self.house.guests[order[2]]
        with self.one_step():
            running, unfinished = self.others(guest)
            self.judge(guest, self.house.start(guest), running, maybe=unfinished)

    @property
    def running(self) -> tuple[Guest, ...]:
        return tuple(guest for guest in self.house.guests if guest.runs)

    @property
    def stopped(self) -> tuple[Guest, ...]:
        return tuple(guest for guest in self.house.guests if not guest.runs)

    @contextmanager
    def one_step(self):
        """A step that fails leaves the machine to `raze`: nothing more is expected of it."""
        self.sound = False
        yield
        self.sound = True

    def note(self, what: str) -> None:
        self.seen[what] += 1
        event(what)

    # What is expected of a start

    def judge(self, guest: Guest, ended: HookCall, others: tuple[Guest, ...], *, maybe: tuple[Guest, ...] = ()) -> None:
        """`others` hold their cards for certain, `maybe` have perhaps something of theirs."""
        if guest.wish is None:
            assert ended.status == 0
            return
        certain, possible = meet(others, guest.had), meet((*others, *maybe), guest.had)
        if ended.status == 0:
            assert not certain, f"{guest.name} got a card of {certain[0].name}"
            assert guest.runs
            self.note_shares(guest)
            return
        assert ended.status == REFUSED, ended.stderr
        assert any(f"is held by guest {other.name}." in ended.stderr for other in possible), ended.stderr
        assert not guest.runs
        self.note("a card that another guest has is refused")

    def note_shares(self, guest: Guest) -> None:
        others = [other for other in self.house.guests if other is not guest and other.runs]
        if any(set(other.had.units) & set(guest.had.units) for other in others):
            self.note("a second guest shares a stopped service")

    def note_return(self, guest: Guest) -> None:
        others = [other for other in self.house.holders() if other is not guest]
        for unit in set(guest.had.units) & {SHARED, OTHER}:
            if any(unit in other.had.units for other in others):
                self.note("a service stays stopped for another guest")
            else:
                assert self.house.is_active(unit)
                self.note("the last guest restores a service")

    def others(self, *guests: Guest) -> tuple[tuple[Guest, ...], tuple[Guest, ...]]:
        """Of all but `guests`, who runs, and whose hand-off is merely unfinished."""
        rest = [guest for guest in self.house.holders() if guest not in guests]
        return tuple(one for one in rest if one.runs), tuple(one for one in rest if not one.runs)

    # One at a time

    @rule(number=GUESTS)
    def start(self, number: int) -> None:
        if not self.stopped:
            self.stop(number, wait=True)
            return
        guest = one_of(self.stopped, number)
        with self.one_step():
            running, unfinished = self.others(guest)
            self.judge(guest, self.house.start(guest), running, maybe=unfinished)

    @rule(number=GUESTS, wait=st.booleans())
    def stop(self, number: int, *, wait: bool) -> None:
        if not self.running:
            self.start(number)
            return
        guest = one_of(self.running, number)
        with self.one_step():
            self.house.stop(guest)
            if wait:
                assert self.house.is_home(guest)
                self.note_return(guest)

    @rule(number=GUESTS, boundary=BOUNDARIES, told=st.booleans())
    def hook_is_killed_there(self, number: int, boundary: int, *, told: bool) -> None:
        """SIGKILL in mid-prepare; libvirtd lives and sends `release`, or it is gone as well."""
        if not self.stopped:
            self.stop(number, wait=False)
            return
        guest = one_of(self.stopped, number)
        if guest.wish is None:
            return  # no hook runs for a guest that is not managed
        with self.one_step():
            self.settle()
            running, unfinished = self.others(guest)
            self.house.crash_at(boundary)
            prepared = self.house.ended(self.house.launch_start(guest))
            self.house.crash_at(None)
            if prepared.status != -signal.SIGKILL:
                self.judge(guest, self.house.follow_start(guest, prepared), running, maybe=unfinished)
                return
            self.note("a start is killed")
            if told:
                self.house.follow_start(guest, prepared)
                assert self.house.is_home(guest)

    @rule(number=GUESTS, boundary=BOUNDARIES)
    def return_is_killed(self, number: int, boundary: int) -> None:
        """SIGKILL on the way back, in the hook (the shim runs undo.sh) or in the detached part."""
        if not self.running:
            self.start(number)
            return
        guest = one_of(self.running, number)
        with self.one_step():
            self.settle()
            self.house.crash_at(boundary)
            assert self.house.ended(self.house.launch_stop(guest)).status == 0
            assert until(lambda: not self.house.is_open(guest) or self.house.is_dead(guest, boundary), 30)
            self.house.crash_at(None)
            self.note("a return is killed" if self.house.is_open(guest) else "a guest ends")

    @rule(number=GUESTS)
    def qemu_and_libvirtd_are_killed(self, number: int) -> None:
        if not self.running:
            self.start(number)
            return
        self.house.qemu_dies(one_of(self.running, number))
        self.note("no hook comes after the guest's end")

    @rule(number=GUESTS)
    def libvirtd_comes_back_and_finds_the_guest_gone(self, number: int) -> None:
        if not self.stopped:
            self.stop(number, wait=False)
            return
        guest = one_of(self.stopped, number)
        with self.one_step():
            self.settle()
            assert self.house.call(guest, "release").status == 0
            assert self.house.is_home(guest)

    @rule(number=GUESTS)
    def libvirtd_is_restarted(self, number: int) -> None:
        if not self.running:
            self.start(number)
            return
        assert self.house.call(one_of(self.running, number), "reconnect").status == 0

    @rule(number=GUESTS, wish=st.none() | WISHES)
    def settings_are_edited(self, number: int, wish: Wish | None) -> None:
        self.house.manage(self.house.guests[number], wish)

    @rule()
    def recover(self) -> None:
        with self.one_step():
            self.settle()
            ended = self.house.recover()
            assert ended.status == 0, ended.stderr
            assert not [guest for guest in self.house.holders() if not guest.runs]

    @rule(boundary=st.integers(1, 4), number=GUESTS)
    def a_start_is_aborted(self, boundary: int, number: int) -> None:
        with self.one_step():
            self.settle()
            assert self.house.recover().status == 0
            free = tuple(guest for guest in self.stopped if self.may_start(guest))
            if not free:
                return
            guest = one_of(free, number)
            hook, stopped = self.house.pause(guest, "prepare", boundary)
            abort = self.house.command("recover", "--abort", "--", guest.name)
            assert until(lambda: is_asked_to_stop(stopped), 10)
            os.kill(stopped, signal.SIGCONT)
            assert self.house.follow_start(guest, self.house.ended(hook)).status not in (0, -signal.SIGKILL)
            assert self.house.ended(abort).status == 0
            assert not self.house.is_open(guest)
            self.note("a start is aborted")

    def may_start(self, guest: Guest) -> bool:
        """Whether a start would take a step and find no card in other hands."""
        return guest.wish is not None and bool(guest.wish.cards) and not meet(self.running, guest.wish)

    # At once

    @rule(numbers=st.lists(GUESTS, min_size=2, max_size=3, unique=True), beside=st.booleans())
    def at_the_same_instant(self, numbers: list[int], *, beside: bool) -> None:
        """Two or three guests start or stop, each its own process; perhaps `recover` is called meanwhile."""
        guests = tuple(self.house.guests[number] for number in numbers)
        with self.one_step():
            if beside:
                self.settle()
            stopping = tuple(guest for guest in guests if guest.runs)
            running, unfinished = self.others(*guests)
            left = tuple(guest for guest in guests if not guest.runs and self.house.is_open(guest))
            had = {guest.uuid: guest.claims for guest in left}
            calls = [
                (guest, self.house.launch_stop(guest) if guest.runs else self.house.launch_start(guest))
                for guest in guests
            ]
            recover = self.house.command("recover") if beside else None
            ends = [(guest, self.house.ended(call)) for guest, call in calls]
            if recover:
                self.house.ended(recover)  # refused where a hook is at work
            for guest, ended in ends:
                if guest not in stopping:
                    self.house.follow_start(guest, ended)
                else:
                    assert ended.status == 0
            former = tuple(Guest(guest.name, guest.uuid, had=had[guest.uuid]) for guest in left)
            for guest, ended in ends:
                if guest not in stopping:
                    winners = tuple(one for one in guests if one.runs and one is not guest)
                    self.judge(guest, ended, (*running, *winners), maybe=(*unfinished, *stopping, *former))
            assert self.house.is_home(*stopping)
            self.note(f"{len(guests)} processes at the same instant")

    # What must be true

    def settle(self) -> None:
        """Let detached parts end that were not waited for; a hand-off that nobody works on stays as it is."""
        assert until(lambda: not any(map(self.house.is_worked_on, self.house.guests)), 30)

    @invariant()
    def what_nobody_holds_is_as_it_was(self) -> None:
        if not getattr(self, "sound", False):
            return
        with self.one_step():
            assert self.house.differences() == ()
            assert self.house.bugs() == ()

    @invariant()
    def a_card_is_on_vfio_only_for_a_guest_that_has_it(self) -> None:
        if not getattr(self, "sound", False):
            return
        with self.one_step():
            holders = self.house.holders()
            for address in CARDS:
                on_vfio = self.house.driver(address) == "vfio-pci"
                assert not on_vfio or any(address in guest.claims.cards for guest in holders)
                assert on_vfio or not any(guest.runs and address in guest.had.cards for guest in holders)

    @invariant()
    def a_service_is_stopped_while_a_guest_wants_it_so(self) -> None:
        if not getattr(self, "sound", False):
            return
        with self.one_step():
            wanted = {unit for guest in self.house.guests if guest.runs for unit in guest.had.units}
            assert not [unit for unit in wanted if self.house.is_active(unit)]

    def teardown(self) -> None:
        """Everybody stops: the machine is the one from before the first start."""
        if not getattr(self, "sound", True):
            self.house.raze()
            return
        try:
            for guest in self.running:
                self.house.stop(guest)
                assert self.house.is_home(guest)
                self.note_return(guest)
            if any(set(guest.claims.units) & {SHARED, OTHER} for guest in self.house.holders()):
                self.note("the last guest restores a service")  # as the comparison proves
            self.house.calm_down()
            assert self.house.holders() == ()
            assert self.house.differences() == ()
            assert self.house.bugs() == ()
        except BaseException:
            self.house.raze()
            raise


def one_of(guests: tuple[Guest, ...], number: int) -> Guest:
    return guests[number % len(guests)]


@pytest.mark.timeout(3600)
def test_baselines_come_back_whatever_three_guests_do(house, record_testsuite_property):
    class InThisHouse(Interleavings):
        pass

    InThisHouse.house, InThisHouse.seen = house, Counter()
    run_state_machine_as_test(InThisHouse, settings=settings(
        max_examples=EXAMPLES[settings.get_current_profile_name()], stateful_step_count=STEPS, deadline=None,
        phases=(Phase.generate,), suppress_health_check=list(HealthCheck), derandomize=False,
    ))  # fmt: skip
    record_testsuite_property("interleavings", dict(InThisHouse.seen))
    for case in (
        "a card that another guest has is refused", "a second guest shares a stopped service",
        "the last guest restores a service", "2 processes at the same instant",
    ):  # fmt: skip
        assert InThisHouse.seen[case], f"never happened: {case}; but {InThisHouse.seen}"
