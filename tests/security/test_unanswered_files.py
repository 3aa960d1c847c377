"""A file is to be made on a share whose server is gone: no step waits for it longer than its own time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from silent import needs_fuse, silent
from step_builders import plain_machine, planned

from vfioctl.errors import Refused
from vfioctl.txn import blobs
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.step import Step, StepProposal

pytestmark = [needs_fuse, pytest.mark.usefixtures("alone")]
SHARE = "/mnt/share"
SECONDS = 2.0  # of the step, 3 of a look without one
KINDS = ("file.write", "file.fetch")


@pytest.fixture
def machine(place: Path) -> Machine:
    made = plain_machine(str(place))
    os.makedirs(made.paths.at(SHARE))
    return made


def step(machine: Machine, name: str) -> Step:
    """Planned while the share answered."""
    where = {"path": f"{SHARE}/file"}
    if name == "file.fetch":
        return planned(machine, name, {**where, "url": "https://127.0.0.1:1/file"}, deadline=SECONDS)
    blob = blobs.store(machine.paths, b"content")
    return planned(machine, name, {**where, "blob": blob.name, "size": blob.size}, deadline=SECONDS)


@contextmanager
def refused_in_time() -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(Refused) as caught:
        yield
    assert caught.value.code == "path.unanswered"
    assert SHARE in caught.value.message
    assert time.monotonic() - began < SECONDS + 5


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("action", ["guard", "probe", "undo"])
def test_a_step_on_a_share_that_is_silent_ends_in_its_time(machine: Machine, name: str, action: str) -> None:
    one = step(machine, name)
    with silent(machine.paths.at(SHARE)), refused_in_time():
        getattr(kind(name), action)(one, machine)


@pytest.mark.parametrize("name", KINDS)
def test_a_plan_for_a_share_that_is_silent_is_refused(machine: Machine, name: str) -> None:
    one = step(machine, name)
    proposal = StepProposal("x", name, one.params, "a test")
    with silent(machine.paths.at(SHARE)), refused_in_time():
        list(kind(name).check(proposal, machine.host()))
