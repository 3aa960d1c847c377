"""disk.live at a standstill: a real guest without an agent, whose agent is played here; what is thawed, and when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from libvirt_machine import Guest, machine_of
from step_builders import planned

from vfioctl.errors import StepFailed
from vfioctl.kinds.libvirt import agent, marks
from vfioctl.txn.kind import kind
from vfioctl.txn.step import State, Step

libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")


class Played:
    """An agent as qemu-ga is (seen in 7.2): it does not freeze twice, and one that hangs answers nothing."""

    def __init__(self) -> None:
        self.frozen = self.hangs = False
        self.heard: list[str] = []

    def freeze(self, _handle: Any) -> None:
        self.heard.append("freeze")
        if self.frozen or self.hangs:
            raise libvirt.libvirtError("the agent is in frozen state, or not available for now")
        self.frozen = True

    def thaw(self, _handle: Any) -> None:
        self.heard.append("thaw")
        if self.hangs:
            raise libvirt.libvirtError("Guest agent not available for now")
        self.frozen = False


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    made = Played()
    monkeypatch.setattr(agent, "freeze", made.freeze)
    monkeypatch.setattr(agent, "thaw", made.thaw)
    monkeypatch.setattr(agent, "is_connected", lambda _handle: True)
    return made


@pytest.fixture
def guest(lab: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Guest]:
    tmp_path.chmod(0o755)
    machine = machine_of(tmp_path)
    made = Guest(lab, machine, f"s{abs(hash(request.node.name))}")
    made.start()
    yield made
    made.remove()
    for connection in machine.opened.values():
        connection.close()


@pytest.fixture
def step(guest: Guest) -> Step:
    new = guest.disk.replace(".qcow2", ".now.qcow2")
    asked = f"""<domainsnapshot><name>now</name><disks><disk name='vda' snapshot='external' type='file'>
      <driver type='qcow2'/><source file='{new}'/></disk></disks></domainsnapshot>"""
    params = {**guest.about, "name": "now", "blob": guest.blob(asked), "quiesce": True}
    return planned(guest.machine, "disk.live", params, deadline=30.0)


KIND = kind("disk.live")


def test_the_guest_stands_still_for_the_snapshot_and_goes_on(played: Played, guest: Guest, step: Step) -> None:
    KIND.guard(step, guest.machine)
    assert KIND.apply(step, guest.machine) is None
    assert played.heard == ["freeze", "thaw"]
    assert KIND.probe(step, guest.machine) is State.AFTER
    assert marks.running(guest.handle, marks.FROZEN) == ""


def test_a_killed_one_is_seen_and_the_undo_lets_the_guest_go(played: Played, guest: Guest, step: Step) -> None:
    marks.tell(guest.handle, marks.FROZEN, step.baseline["operation"])
    played.frozen = True
    assert KIND.probe(step, guest.machine) is State.BETWEEN
    KIND.undo(step, guest.machine)
    assert not played.frozen
    assert KIND.probe(step, guest.machine) is State.BEFORE


def test_a_killed_one_is_finished_although_nothing_freezes_twice(played: Played, guest: Guest, step: Step) -> None:
    marks.tell(guest.handle, marks.FROZEN, step.baseline["operation"])
    played.frozen = True
    KIND.guard(step, guest.machine)
    assert KIND.apply(step, guest.machine) is None
    assert played.heard == ["thaw", "freeze", "thaw"]
    assert KIND.probe(step, guest.machine) is State.AFTER


def test_an_agent_that_hangs_is_named_and_the_guest_let_go_when_it_answers(
    played: Played, guest: Guest, step: Step
) -> None:
    played.hangs = True
    with pytest.raises(StepFailed) as caught:
        KIND.apply(step, guest.machine)
    assert caught.value.code == "guest.not_frozen"
    assert KIND.probe(step, guest.machine) is State.BETWEEN
    with pytest.raises(StepFailed) as caught:
        KIND.undo(step, guest.machine)
    assert caught.value.code == "guest.not_thawed"
    assert f"The file systems of the guest {guest.handle.name()} stand still, or will" in str(caught.value)
    played.hangs = False
    KIND.undo(step, guest.machine)
    assert KIND.probe(step, guest.machine) is State.BEFORE
    assert guest.handle.snapshotNum() == 0
