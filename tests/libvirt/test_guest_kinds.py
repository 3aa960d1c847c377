"""The step kinds of whole guests, on a real libvirtd: what libvirt forgets comes back, what others changed stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from domain_operation import SNAPSHOT
from domain_steps import codes, do, refused, state, step_of, undo
from libvirt_machine import SCREEN, Guest

from vfioctl.errors import StepFailed
from vfioctl.txn.kind import kind
from vfioctl.txn.step import State, Step, Undo

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")


@pytest.fixture
def guest(lab: Any, machine: Any, request: pytest.FixtureRequest) -> Iterator[Guest]:
    made = Guest(lab, machine, f"w{abs(hash(request.node.name))}", devices=SCREEN)
    yield made
    made.remove()


def undefined(guest: Guest, **more: Any) -> Step:
    return step_of(guest, "domain.undefine", blob=guest.blob(guest.xml), **more)


def is_known(guest: Guest) -> bool:
    return guest.name in [one.name() for one in guest.connection.listAllDomains()]


# domain.undefine


def test_a_guest_is_forgotten_and_comes_back_as_it_was(guest: Guest) -> None:
    former = guest.xml
    step = undefined(guest)
    assert codes(step, guest.machine) == []
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert not is_known(guest)
    assert state(step, guest) is State.AFTER
    assert do(step, guest) == "libvirt does not know it"
    assert undo(step, guest) is None
    assert guest.xml == former
    assert "hunter2" in guest.xml
    assert state(step, guest) is State.BEFORE
    assert os.path.exists(guest.disk)


def test_one_that_started_with_its_host_does_so_again(guest: Guest) -> None:
    guest.handle.setAutostart(1)
    step = undefined(guest, autostart=True)
    do(step, guest)
    undo(step, guest)
    assert guest.handle.autostart() == 1


def test_one_that_was_changed_since_the_plan_stays(guest: Guest) -> None:
    step = undefined(guest)
    guest.define(guest.xml.replace("<on_crash>destroy<", "<on_crash>restart<"))
    assert codes(step, guest.machine) == ["domain.changed"]
    assert refused(step, guest) == "domain.changed"
    assert state(step, guest) is State.FOREIGN
    assert "stays so" in kind(step.kind).foreign(step, guest.machine)


def test_one_that_runs_or_has_a_saved_state_stays(guest: Guest) -> None:
    step = undefined(guest)
    guest.start()
    assert refused(step, guest) == "domain.running"
    guest.handle.managedSave(0)
    assert refused(step, guest) == "domain.saved"


def test_one_with_a_snapshot_stays(guest: Guest) -> None:
    import libvirt

    asked = SNAPSHOT.format(overlay=f"{guest.disk}.overlay", domain=guest.xml)
    guest.handle.snapshotCreateXML(asked, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE)
    step = undefined(guest)
    assert codes(step, guest.machine) == [], "an earlier step of the plan may forget it"
    with pytest.raises(StepFailed, match="before") as caught:
        do(step, guest)
    assert caught.value.code == "domain.snapshots"
    assert is_known(guest)


def test_it_does_not_come_back_over_another_one_of_its_name(guest: Guest, lab: Any) -> None:
    step = undefined(guest)
    do(step, guest)
    other = lab.define(guest.name)
    with pytest.raises(StepFailed, match="has its name by now") as caught:
        undo(step, guest)
    assert caught.value.code == "domain.exists"
    assert guest.connection.lookupByName(guest.name).UUIDString() == other
    lab.virsh("undefine", guest.name)
    undo(step, guest)
    assert is_known(guest)


def with_nvram(guest: Guest, path: str) -> None:
    """The guest has UEFI with its variables at `path`, as libvirt keeps them."""
    firmware = guest.machine.paths.at("srv/code.fd")
    Path(firmware).write_bytes(bytes(1 << 20))
    Path(path).write_bytes(b"variables")
    system = f"<loader readonly='yes' type='pflash'>{firmware}</loader><nvram>{path}</nvram></os>"
    guest.define(guest.xml.replace("</os>", f"{system}<features><acpi/></features>"))


def test_its_nvram_stays_unless_it_is_meant_to_go(guest: Guest) -> None:
    nvram = guest.machine.paths.at("srv/vars.fd")
    with_nvram(guest, nvram)
    step = undefined(guest)
    do(step, guest)
    assert Path(nvram).read_bytes() == b"variables"
    undo(step, guest)
    step = undefined(guest, drop=["nvram"])
    assert (step.undo, kind(step.kind).put_back(step.params)) == (
        Undo.RECREATED, "libvirt knows it again, with a new nvram",
    )  # fmt: skip
    do(step, guest)
    assert not os.path.exists(nvram)
    undo(step, guest)
    assert is_known(guest)


def test_the_nvram_of_a_twin_stays(guest: Guest, lab: Any, machine: Any) -> None:
    """libvirt removes the file of the one with the other (measured on 9.0)."""
    nvram = guest.machine.paths.at("srv/vars.fd")
    with_nvram(guest, nvram)
    twin = Guest(lab, machine, f"{guest.name}-twin")
    try:
        with_nvram(twin, nvram)
        assert refused(undefined(guest, drop=["nvram"]), guest) == "domain.nvram_shared"
        assert do(undefined(guest), guest) is None
        assert Path(nvram).exists()
    finally:
        twin.remove()


# domain.autostart


def autostarted(guest: Guest, *, on: bool, former: bool) -> Step:
    return step_of(guest, "domain.autostart", on=on, former=former)


def test_a_guest_starts_with_its_host_and_then_not_any_more(guest: Guest) -> None:
    step = autostarted(guest, on=True, former=False)
    assert codes(step, guest.machine) == []
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert guest.handle.autostart() == 1
    assert state(step, guest) is State.AFTER
    assert do(step, guest) == "it is so already"
    undo(step, guest)
    assert guest.handle.autostart() == 0
    assert state(step, guest) is State.BEFORE


def test_what_somebody_has_said_since_the_plan_counts(guest: Guest) -> None:
    assert codes(autostarted(guest, on=False, former=True), guest.machine) == ["domain.changed"]


def test_a_guest_that_an_earlier_step_makes_is_waited_for(guest: Guest) -> None:
    step = autostarted(guest, on=True, former=False)
    guest.handle.undefine()
    assert codes(step, guest.machine) == []
    assert state(step, guest) is State.BEFORE
