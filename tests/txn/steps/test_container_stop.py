"""container.stop against simulated docker and podman."""

from __future__ import annotations

from dataclasses import replace

import pytest
from step_builders import planned

from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.testing import scenarios
from vfioctl.testing.model import FakeContainer, FakeProcess
from vfioctl.txn.step import State, StepProposal
from vfioctl.txn.steps.container_stop import KIND

JELLYFIN = {"tool": "docker", "name": "jellyfin"}
MINE = {"tool": "podman", "name": "ollama", "user": "alice"}


def machine(**changes):
    """A media server in a container of Docker, and alice's own ollama in a rootless one of Podman."""
    spec = scenarios.media_server()
    ollama = FakeContainer("ollama", "ab" * 32, "podman", uid=1000, brings=(FakeProcess("ollama", uid=1000),))
    return replace(spec, containers=(replace(spec.containers[0], **changes), ollama))


@pytest.fixture
def server(boot):
    return boot(machine())


def commands(fake):
    return [call["argv"] for call in fake.kernel.calls() if call["argv"][0] in ("docker", "podman", "runuser")]


def running(fake, comm):
    return [one["cgroup"] for one in fake.kernel.processes() if one["comm"] == comm]


@pytest.mark.parametrize(("params", "comm"), [(JELLYFIN, "ffmpeg"), (MINE, "ollama")])
def test_a_container_is_stopped_and_started_again_by_name(server, params, comm):
    fake, machine = server
    step = planned(machine, "container.stop", params)
    (group,) = running(fake, comm)
    assert KIND.probe(step, machine) is State.BEFORE
    assert KIND.apply(step, machine) is None
    assert running(fake, comm) == []
    assert KIND.probe(step, machine) is State.AFTER
    assert "does not run" in KIND.apply(step, machine)
    assert KIND.undo(step, machine) is None
    assert running(fake, comm) == [group]
    assert "already runs" in KIND.undo(step, machine)


def test_a_rootless_container_is_reached_as_its_user(server):
    fake, machine = server
    KIND.apply(planned(machine, "container.stop", MINE), machine)
    assert all(argv[:3] == ["runuser", "-u", "alice"] for argv in commands(fake))


def test_a_container_that_did_not_run_before_is_not_started(boot):
    fake, machine_ = boot(machine(running=False))
    step = planned(machine_, "container.stop", JELLYFIN)
    assert "does not run" in KIND.apply(step, machine_)
    assert "did not run before" in KIND.undo(step, machine_)
    assert KIND.render_undo(step, machine_.paths) == ()
    assert running(fake, "ffmpeg") == []


def test_it_has_most_of_the_deadline_to_end_by_itself(server):
    fake, machine = server
    KIND.apply(planned(machine, "container.stop", JELLYFIN, deadline=20.0), machine)
    assert ["docker", "stop", "-t", "12", "--", "jellyfin"] in commands(fake)


def test_a_stop_that_hangs_ends_at_the_deadline(boot):
    _, machine_ = boot(machine(stop_hangs=True))
    with pytest.raises(DeadlineExceeded):
        KIND.apply(planned(machine_, "container.stop", JELLYFIN, deadline=1.0), machine_)


def test_a_container_that_was_removed_meanwhile_is_said(server):
    fake, machine = server
    step = planned(machine, "container.stop", {"tool": "docker", "name": "jellyfin"})
    KIND.apply(step, machine)
    fake.kernel.boot(replace(scenarios.media_server(), containers=()))
    with pytest.raises(StepFailed, match="No such container"):
        KIND.undo(step, machine)


def test_a_tool_that_is_not_installed_is_found_by_the_check(server):
    fake, machine = server
    fake.kernel.remove_program("docker")
    proposal = StepProposal("x", "container.stop", JELLYFIN, "")
    assert [one.code for one in KIND.check(proposal, machine.host())] == ["program.missing"]
