"""generated.refresh with programs that count their runs."""

from __future__ import annotations

import os

import pytest
from step_builders import planned, program

from vfioctl.errors import StepFailed
from vfioctl.kinds.generated_refresh import KIND
from vfioctl.txn.step import State, StepProposal


@pytest.fixture
def machine(plain):
    program(plain, "chroot", 'ROOT=$1; export ROOT; shift 3; name=$1; shift; exec "$ROOT/usr/bin/$name" "$@"')
    program(plain, "menu", 'echo "$ROOT $*" >>"$ROOT/var/runs"')
    return plain


def runs(machine):
    path = machine.paths.at("var/runs")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def step(machine, **more):
    return planned(machine, "generated.refresh", {"argv": ["menu", "-o", "/boot"], **more})


def test_the_program_runs_in_the_root_of_the_host_when_it_is_applied_and_not_when_it_is_undone(machine):
    forward = step(machine)
    assert KIND.apply(forward, machine) is None
    assert "follows" in KIND.undo(forward, machine)
    assert runs(machine) == [f"{machine.paths.root} -o /boot"]


def test_the_one_before_the_changes_runs_it_only_when_they_are_undone(machine):
    back = step(machine, back=True)
    assert "undone" in KIND.apply(back, machine)
    assert runs(machine) == []
    assert KIND.probe(back, machine) is State.BETWEEN
    assert KIND.undo(back, machine) is None
    assert len(runs(machine)) == 1


def test_a_program_that_fails_is_named_with_what_it_said(machine):
    program(machine, "menu", "echo no room >&2; exit 1")
    with pytest.raises(StepFailed, match="no room") as caught:
        KIND.apply(step(machine), machine)
    assert caught.value.code == "command.failed"


def test_a_program_that_is_not_installed_is_found_by_the_check(machine):
    proposal = StepProposal("x", "generated.refresh", {"argv": ["update-grub"]}, "a test")
    assert [one.code for one in KIND.check(proposal, machine.host())] == ["program.missing"]
    os.unlink(machine.paths.at("usr/bin/chroot"))
    proposal = StepProposal("x", "generated.refresh", {"argv": ["menu"]}, "a test")
    assert [one.message for one in KIND.check(proposal, machine.host())] == ["The program chroot is not installed."]
