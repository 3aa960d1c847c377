"""Files whose file system is not mounted when their undo looks for them, as after a boot."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import pytest
from step_builders import planned, put

from vfioctl.errors import StepFailed
from vfioctl.frozen import replace
from vfioctl.txn import blobs
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.step import State, Step

PLACE = "/srv"
FORMER = f"{PLACE}/former"


def write(machine: Machine) -> dict[str, object]:
    blob = blobs.store(machine.paths, b"new")
    return {"path": f"{PLACE}/file", "blob": blob.name, "size": blob.size}


KINDS: dict[str, tuple[str, Callable[[Machine], dict[str, object]]]] = {
    "copy": ("file.copy", lambda _: {"source": FORMER, "dest": f"{PLACE}/copy"}),
    "directory": ("directory.copy",
                  lambda _: {"source": f"{PLACE}/tpm", "dest": f"{PLACE}/tpm.before", "files": ["state"]}),
    "written": ("file.write", write),
    "replaced": ("file.write", lambda machine: {**write(machine), "path": FORMER, "replace": True}),
    "set aside": ("file.set_aside", lambda _: {"path": FORMER, "sha256": hashlib.sha256(b"former").hexdigest()}),
}  # fmt: skip


@pytest.fixture
def machine(plain: Machine) -> Machine:
    put(plain.paths.at(f"{PLACE}/tpm/state"), "keys")
    put(plain.paths.at(FORMER), "former")
    return plain


@pytest.fixture(params=KINDS)
def step(request: pytest.FixtureRequest, machine: Machine) -> Step:
    """A step that is done."""
    name, params = KINDS[request.param]
    step = planned(machine, name, params(machine))
    kind(name).guard(step, machine)
    kind(name).apply(step, machine)
    return step


def leave(machine: Machine, *, mount_point: bool) -> None:
    """Unmount the place of the files: nothing is there, or an empty directory."""
    os.rename(machine.paths.at(PLACE), machine.paths.at("disk"))
    if mount_point:
        os.mkdir(machine.paths.at(PLACE), 0o755)


def come_back(machine: Machine) -> None:
    if os.path.isdir(machine.paths.at(PLACE)):
        os.rmdir(machine.paths.at(PLACE))  # nothing was written to it
    os.rename(machine.paths.at("disk"), machine.paths.at(PLACE))


@pytest.mark.parametrize("mount_point", [False, True], ids=["no directory", "an empty mount point"])
def test_what_lies_on_a_file_system_that_is_not_mounted_is_not_known_and_undone_later(machine, step, mount_point):
    leave(machine, mount_point=mount_point)
    with pytest.raises(StepFailed) as caught:
        kind(step.kind).probe(step, machine)
    assert caught.value.code == "file.unmounted"
    assert machine.paths.at(PLACE) in caught.value.hints[0]
    come_back(machine)
    assert kind(step.kind).probe(step, machine) is State.AFTER
    kind(step.kind).undo(step, machine)
    assert kind(step.kind).probe(step, machine) is State.BEFORE


def older(step: Step) -> Step:
    """The same as a version planned it that noted no directory."""
    return replace(step, baseline={key: value for key, value in step.baseline.items() if key != "directory"})


def test_a_plan_of_an_older_version_does_not_know_of_a_directory_that_is_gone_either(machine, step):
    assert kind(step.kind).probe(older(step), machine) is State.AFTER
    leave(machine, mount_point=False)
    with pytest.raises(StepFailed, match="may not be mounted"):
        kind(step.kind).probe(older(step), machine)


@pytest.mark.parametrize("name", ["copy", "directory", "written"])
def test_what_was_carried_to_another_directory_of_the_same_name_is_still_its_own(machine, name):
    step = planned(machine, KINDS[name][0], KINDS[name][1](machine))
    kind(step.kind).apply(step, machine)
    leave(machine, mount_point=True)
    for one in os.listdir(machine.paths.at("disk")):
        os.rename(machine.paths.at("disk", one), machine.paths.at(PLACE, one))
    assert kind(step.kind).probe(step, machine) is State.AFTER
