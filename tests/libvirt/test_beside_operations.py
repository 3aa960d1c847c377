"""An operation on a guest of a real libvirtd, and the hook that libvirt calls for that guest: both orders."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from libvirt_machine import uri_of

from vfioctl.errors import Busy
from vfioctl.testing import scenarios
from vfioctl.testing.crash import crash_at, pause_at, paused
from vfioctl.testing.entry import composition
from vfioctl.txn import blobs, runner
from vfioctl.txn.locks import plan_locks
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.plan import Plan
from vfioctl.txn.planner import Brief, make_plan
from vfioctl.txn.resources import Ledger, domain
from vfioctl.txn.step import StepProposal
from vfioctl.wait import until

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
GPU = "0000:01:00.0"
GIVEN = ["vfio-pci", "vfio-pci"]
HOME = ("nvidia", "snd_hda_intel")
SECONDS = 60.0


@pytest.fixture
def house(make_house: Callable[..., Any]) -> Any:
    return make_house(replace(scenarios.two_gpu(logged_in=False), systemd=False))


class Guest:
    """A guest with a card, and operations on it."""

    def __init__(self, house: Any) -> None:
        self.house, self.name = house, "win11"
        self.node = composition(house.host.root)
        self.uuid = house.guest(self.name, GPU)
        self.about = {"uri": uri_of(house.lab), "uuid": self.uuid}

    @property
    def xml(self) -> str:
        return str(self.house.lab.virsh("dumpxml", "--inactive", "--domain", self.name).stdout)

    def plan(self, kind: str, params: dict[str, Any], **notes: Any) -> Plan:
        proposal = Proposed("test", StepProposal("one", kind, {**self.about, **params}, "a test", deadline=SECONDS))
        brief = Brief(
            "guest change", f"guest:{self.name}", str(uuid.uuid4()), (proposal,), lambda _steps, _held: (), notes=notes,
        )  # fmt: skip
        return make_plan(brief, self.node.machine().host(), Ledger(self.node.paths))

    def start(self, **notes: Any) -> Plan:
        return self.plan("domain.start", {}, **notes)

    def define(self) -> Plan:
        """Another title."""
        former = self.xml
        after = former.replace("</uuid>", "</uuid><title>changed</title>")
        names = {what: blobs.store(self.node.paths, text.encode()).name for what, text in
                 (("former", former), ("blob", after))}  # fmt: skip
        return self.plan("domain.define", names)


@pytest.fixture
def guest(house: Any) -> Guest:
    return Guest(house)


def test_a_step_that_starts_the_guest_is_refused_by_the_hook_unless_the_plan_expects_that(guest: Guest) -> None:
    plan = guest.start()
    ended = runner.here(guest.node, plan)
    assert "guest change guest:win11 works on it (it stands at applying)" in str(ended.error)
    assert (guest.house.lab.state(guest.name), guest.house.drivers()) == ("shut off", list(HOME))
    assert guest.house.is_over()


def test_a_guest_that_the_operation_starts_gets_its_card(guest: Guest) -> None:
    ended = runner.here(guest.node, guest.start(expects=[domain(guest.uuid)]))
    assert ended.error is None
    assert guest.house.drivers() == GIVEN
    guest.house.stop(guest.name)
    assert guest.house.comes_home(*HOME), guest.house.log()


def test_a_start_is_refused_until_an_interrupted_operation_is_ended(guest: Guest) -> None:
    before, plan = guest.xml, guest.define()
    runner.queue(guest.node, plan)
    crash_at(guest.house.host.root, 1)
    died = subprocess.run([*guest.house.host.argv, "run", plan.key], check=False, timeout=SECONDS, cwd="/")
    crash_at(guest.house.host.root, None)
    assert died.returncode == -signal.SIGKILL
    refused = guest.house.start(guest.name)
    assert "win11 was not started: guest change guest:win11 works on it" in refused.stderr
    assert guest.house.drivers() == list(HOME)
    assert guest.house.cli("recover").returncode == 0
    assert guest.xml == before
    guest.house.run(guest.name)
    guest.house.stop(guest.name)
    assert guest.house.comes_home(*HOME), guest.house.log()


def test_an_operation_waits_for_the_hook_and_finds_that_the_guest_runs(guest: Guest) -> None:
    plan, root = guest.define(), guest.house.host.root
    pause_at(root, 2)
    argv = guest.house.lab.inside("virsh", "--connect", "qemu:///system", "start", "--domain", guest.name)
    start = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    assert until(lambda: bool(paused(root)), SECONDS)
    with pytest.raises(Busy, match="is worked on by process"), plan_locks(guest.node.paths, plan, deadline=0.3):
        pass
    os.kill(paused(root), signal.SIGCONT)
    ended = runner.here(guest.node, plan)
    assert start.wait(SECONDS) == 0
    assert "The guest win11 is running." in str(ended.error)
    assert guest.house.drivers() == GIVEN
    guest.house.stop(guest.name)
    assert guest.house.comes_home(*HOME), guest.house.log()
