"""The step kinds of a guest's life: paused, saved, restarted, renamed, on a real libvirtd and QEMU."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from domain_steps import codes, do, state, step_of, undo
from libvirt_machine import Guest
from step_builders import OPERATION

from vfioctl.errors import StepFailed, StepRefused, VfioctlError
from vfioctl.kinds.libvirt.documents import canonical
from vfioctl.txn.kind import kind
from vfioctl.txn.step import State, Step

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")


@pytest.fixture
def guest(lab: Any, machine: Any, request: pytest.FixtureRequest) -> Iterator[Guest]:
    made = Guest(lab, machine, f"l{abs(hash(request.node.name))}")
    yield made
    made.remove()


def is_paused(guest: Guest) -> bool:
    return bool(guest.handle.state()[0] == 3)  # VIR_DOMAIN_PAUSED


ALL = ("domain.reboot", "domain.suspend", "domain.resume", "domain.save")


@pytest.mark.parametrize("sort", ALL)
def test_a_guest_that_is_off_is_refused(guest: Guest, sort: str) -> None:
    more = {"how": "ask", "seconds": 1} if sort == "domain.reboot" else {}
    step = step_of(guest, sort, **more)
    assert codes(step, guest.machine) == ["domain.off"]
    with pytest.raises(StepRefused):
        do(step, guest)


# domain.suspend, domain.resume


def test_a_guest_is_paused_and_goes_on_and_nothing_of_it_is_left(guest: Guest) -> None:
    step = step_of(guest, "domain.suspend")
    guest.start()
    before = guest.handle.XMLDesc(0)
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert is_paused(guest)
    assert state(step, guest) is State.AFTER
    assert do(step, guest) == "it is paused already"
    assert undo(step, guest) is None
    assert not is_paused(guest)
    assert state(step, guest) is State.BEFORE
    assert canonical(guest.handle.XMLDesc(0)) == canonical(before)


def test_one_that_somebody_else_has_paused_stays_paused(guest: Guest) -> None:
    step = step_of(guest, "domain.suspend")
    guest.start()
    guest.handle.suspend()
    assert codes(step, guest.machine) == ["domain.paused"]
    assert state(step, guest) is State.FOREIGN
    assert "was not paused by this" in (undo(step, guest) or "")
    assert is_paused(guest)
    assert "stays so" in kind(step.kind).foreign(step, guest.machine)


def test_what_a_kill_between_mark_and_pause_leaves_is_known(guest: Guest) -> None:
    from vfioctl.kinds.libvirt import marks

    step = step_of(guest, "domain.suspend")
    guest.start()
    marks.tell(guest.handle, marks.PAUSED, OPERATION)
    assert state(step, guest) is State.BETWEEN
    undo(step, guest)
    assert state(step, guest) is State.BEFORE
    assert not is_paused(guest)


def test_a_paused_guest_goes_on_for_good(guest: Guest) -> None:
    step = step_of(guest, "domain.resume")
    guest.start()
    assert do(step, guest) == "it runs already"
    guest.handle.suspend()
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert state(step, guest) is State.AFTER
    assert undo(step, guest) == "it is not paused again"
    assert not is_paused(guest)


# domain.save, domain.restore, domain.discard_saved


def test_a_guest_is_saved_and_goes_on_from_there(guest: Guest) -> None:
    save, restore = step_of(guest, "domain.save"), step_of(guest, "domain.restore")
    guest.start()
    assert state(save, guest) is State.BEFORE
    assert codes(restore, guest.machine) == ["domain.running"]
    assert do(save, guest) is None
    assert state(save, guest) is State.AFTER
    assert do(save, guest) == "it is saved already"
    assert not guest.handle.isActive()
    assert state(restore, guest) is State.BEFORE
    assert do(restore, guest) is None
    assert state(restore, guest) is State.AFTER
    assert do(restore, guest) == "it is running already"
    assert guest.handle.state() == [1, 3], "running since it was restored (VIR_DOMAIN_RUNNING_RESTORED)"
    assert not guest.handle.hasManagedSaveImage(0)


def test_a_save_that_is_cancelled_lets_the_guest_run_on(guest: Guest) -> None:
    step = step_of(guest, "domain.save")
    guest.start()

    def stop() -> None:
        raise StepFailed("engine.interrupted", "It was asked to stop.")

    with pytest.raises(StepFailed, match="asked to stop"):
        kind(step.kind).apply(step, guest.machine.watched(lambda *_: None, stop))
    assert guest.handle.isActive()
    assert not is_paused(guest)
    assert state(step, guest) is State.BEFORE


def test_a_guest_that_nothing_would_start_again_is_not_saved(guest: Guest) -> None:
    guest.start()
    xml = guest.xml
    guest.handle.undefine()
    assert codes(step_of(guest, "domain.save"), guest.machine) == ["domain.transient"]
    guest.define(xml)


def test_saved_memory_that_libvirt_cannot_use_is_kept(lab: Any, guest: Guest) -> None:
    step = step_of(guest, "domain.restore")
    guest.start()
    guest.handle.managedSave(0)
    lab.hook("00-present", "[ $2 != prepare ] || { echo no card >&2; exit 1; }\n")
    try:
        with pytest.raises(VfioctlError, match="no card"):
            do(step, guest)
    finally:
        lab.hook("00-present", "exit 0\n")
    assert guest.handle.hasManagedSaveImage(0)
    assert state(step, guest) is State.BEFORE


def test_saved_memory_is_given_up(guest: Guest) -> None:
    step = step_of(guest, "domain.discard_saved")
    assert codes(step, guest.machine) == ["domain.not_saved"]
    guest.start()
    assert codes(step, guest.machine) == ["domain.running"]
    guest.handle.managedSave(0)
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert state(step, guest) is State.AFTER
    assert not guest.handle.hasManagedSaveImage(0)


# domain.reboot


def test_a_guest_is_reset_and_libvirt_says_so(guest: Guest) -> None:
    step = step_of(guest, "domain.reboot", how="reset", seconds=10)
    guest.start()
    assert do(step, guest) is None
    assert guest.handle.isActive()


def test_a_guest_that_does_not_restart_is_named_and_runs_on(guest: Guest) -> None:
    step = step_of(guest, "domain.reboot", how="ask", seconds=2)
    guest.start()
    told: list[str] = []
    machine = guest.machine.watched(lambda done, _total, unit: told.append(f"{done} {unit}"), lambda: None)
    with pytest.raises(StepFailed) as caught:
        kind(step.kind).apply(step, machine)
    assert caught.value.code == "guest.deaf"
    assert told == ["1 request to its power button"]
    assert guest.handle.isActive()


def test_a_restart_is_waited_for(guest: Guest) -> None:
    """Nothing in this guest hears the power button, so somebody else resets it."""
    step = step_of(guest, "domain.reboot", how="ask", seconds=20)
    guest.start()
    ended = threading.Timer(2.0, lambda: guest.handle.reset(0))
    ended.start()
    assert do(step, guest) is None
    ended.join()


# domain.rename


def renamed(guest: Guest, name: str) -> Step:
    return step_of(guest, "domain.rename", name=name, former=guest.name)


def test_a_guest_gets_another_name_and_its_own_back(guest: Guest) -> None:
    before, step = guest.xml, renamed(guest, "another")
    assert codes(step, guest.machine) == []
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert state(step, guest) is State.AFTER
    assert guest.handle.name() == "another"
    assert do(step, guest) == f"it is not called {guest.name}"
    assert undo(step, guest) is None
    assert guest.xml == before


def test_its_snapshots_come_with_it(guest: Guest) -> None:
    guest.handle.snapshotCreateXML("<domainsnapshot><name>one</name></domainsnapshot>", 0)
    do(renamed(guest, "another"), guest)
    assert guest.handle.snapshotListNames() == ["one"]


def test_a_name_that_is_taken_a_running_and_a_saved_guest_are_refused(lab: Any, guest: Guest) -> None:
    step = renamed(guest, f"{guest.name}-too")
    lab.define(f"{guest.name}-too")
    assert codes(step, guest.machine) == ["domain.exists"]
    lab.virsh("undefine", f"{guest.name}-too")
    guest.start()
    assert codes(step, guest.machine) == ["domain.running"]
    guest.handle.managedSave(0)
    assert codes(step, guest.machine) == ["domain.saved"]


def test_what_somebody_else_has_renamed_is_left(guest: Guest) -> None:
    step = renamed(guest, "another")
    do(step, guest)
    guest.handle.rename("third", 0)
    assert state(step, guest) is State.FOREIGN
    assert codes(step, guest.machine) == ["domain.changed"]
    assert undo(step, guest) == "it is not called another"


# domain.tune

ROOMY = ("<vcpu placement='static'>1<", "<vcpu placement='static' current='1'>4<")


def tuned(guest: Guest, what: str, value: int, former: int) -> Step:
    return step_of(guest, "domain.tune", what=what, value=value, former=former)


@pytest.mark.parametrize(("what", "value", "former"), [("cpus", 3, 1), ("memory", 24 << 10, 32 << 10)])
def test_a_running_guest_gets_more_and_has_what_it_had_again(guest: Guest, what: str, value: int, former: int) -> None:
    guest.define(guest.xml.replace(*ROOMY).replace("<memballoon model='none'/>", "<memballoon model='virtio'/>"))
    guest.start()
    step = tuned(guest, what, value, former)
    assert codes(step, guest.machine) == []
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    if what == "cpus":
        assert state(step, guest) is State.AFTER
        assert guest.handle.vcpusFlags(1) == value
    before = guest.xml
    assert "current='1'" in before, "its configuration is as it was"


def test_what_it_has_now_is_looked_at_before(guest: Guest) -> None:
    guest.define(guest.xml.replace(*ROOMY))
    step = tuned(guest, "cpus", 3, 2)
    assert codes(step, guest.machine) == ["domain.off"]
    guest.start()
    assert codes(step, guest.machine) == ["domain.changed"]
    assert state(step, guest) is State.FOREIGN
