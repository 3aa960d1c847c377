"""One step about a guest of a private libvirtd, put through what the engine does with it."""

from __future__ import annotations

from typing import Any

import pytest
from libvirt_machine import Guest
from step_builders import planned

from vfioctl.errors import StepFailed
from vfioctl.txn.kind import kind
from vfioctl.txn.step import State, Step, StepProposal


def step_of(guest: Guest, sort: str, **params: Any) -> Step:
    return planned(guest.machine, sort, {**guest.about, **params}, deadline=30.0)


def codes(step: Step, machine: Any) -> list[str]:
    """What the check of its kind finds."""
    proposal = StepProposal(step.id, step.kind, step.params, step.reason)
    return [one.code for one in kind(step.kind).check(proposal, machine.host())]


def do(step: Step, guest: Guest) -> str | None:
    kind(step.kind).guard(step, guest.machine)
    return kind(step.kind).apply(step, guest.machine)


def state(step: Step, guest: Guest) -> State:
    return kind(step.kind).probe(step, guest.machine)


def undo(step: Step, guest: Guest) -> str | None:
    return kind(step.kind).undo(step, guest.machine)


def refused(step: Step, guest: Guest) -> str:
    """The code with which its guard refuses; nothing is changed by that."""
    before = guest.xml
    with pytest.raises(StepFailed) as caught:
        kind(step.kind).guard(step, guest.machine)
    assert guest.xml == before
    return caught.value.code
