"""container.stop against simulated docker and podman."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from step_builders import planned, program

from vfioctl.errors import DeadlineExceeded, StepFailed, VfioctlError
from vfioctl.frozen import replace as replaced
from vfioctl.handoff.undo_sh import render
from vfioctl.kinds.processes.container_stop import KIND
from vfioctl.testing import scenarios
from vfioctl.testing.domains import UUID
from vfioctl.testing.model import FakeContainer, FakeProcess
from vfioctl.txn.step import State, StepProposal

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


def named(params):
    return f"{params['name']} of user {params['user']}" if "user" in params else params["name"]


def ran_undo_sh(machine, step):
    """Whether undo.sh, with this step alone, says that all is back."""
    script = Path(machine.paths.at("undo.sh"))
    script.write_text(render("win11", UUID, (step,), machine.paths))
    return subprocess.run(["sh", script], check=False).returncode == 0


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


@pytest.mark.parametrize(("params", "comm"), [(JELLYFIN, "ffmpeg"), (MINE, "ollama")])
def test_a_container_that_was_removed_meanwhile_has_nothing_to_put_back(server, params, comm):
    fake, machine = server
    step = planned(machine, "container.stop", params)
    KIND.apply(step, machine)
    fake.kernel.boot(replace(scenarios.media_server(), containers=()))
    assert KIND.probe(step, machine) is State.AFTER
    assert KIND.undo(step, machine).endswith(f"container {named(params)} is not there any more")
    assert ran_undo_sh(machine, step)
    assert running(fake, comm) == []


@pytest.mark.parametrize("params", [JELLYFIN, MINE])
def test_one_whose_tool_was_removed_meanwhile_neither(server, params):
    fake, machine = server
    step = planned(machine, "container.stop", params)
    KIND.apply(step, machine)
    fake.kernel.remove_program(params["tool"])
    assert KIND.probe(step, machine) is State.AFTER
    assert KIND.undo(step, machine).endswith(f"is not there any more, nor is {params['tool']}")
    assert ran_undo_sh(machine, step)


LACKS_ANOTHER = """case "$1" in
container) echo 'ab exited false ';;
start) echo 'Error response from daemon: joining network namespace: No such container: cd12' >&2; exit 1;;
esac"""
HAS_NO_DAEMON = "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2; exit 1"


def test_one_that_lacks_another_container_is_there_and_counts_as_not_started(plain):
    program(plain, "podman", LACKS_ANOTHER)
    with pytest.raises(StepFailed, match="No such container: cd12"):
        KIND.undo(stopped(plain), plain)
    assert not ran_undo_sh(plain, stopped(plain))


def test_one_whose_daemon_does_not_answer_counts_as_not_started(plain):
    program(plain, "podman", HAS_NO_DAEMON)
    with pytest.raises(VfioctlError, match="Cannot connect"):
        KIND.undo(stopped(plain), plain)
    assert not ran_undo_sh(plain, stopped(plain))


def test_undo_sh_starts_a_container_that_is_there(server):
    fake, machine = server
    step = planned(machine, "container.stop", JELLYFIN)
    KIND.apply(step, machine)
    assert ran_undo_sh(machine, step)
    assert len(running(fake, "ffmpeg")) == 1


def test_a_tool_that_is_not_installed_is_found_by_the_check(server):
    fake, machine = server
    fake.kernel.remove_program("docker")
    proposal = StepProposal("x", "container.stop", JELLYFIN, "")
    assert [one.code for one in KIND.check(proposal, machine.host())] == ["program.missing"]


LEAVES_A_MONITOR = """#!/bin/sh
# Podman's start leaves a conmon behind, which keeps whatever it inherited.
case "$1" in
container) test -e '{root}/started' && echo "ab running false " || echo "ab exited false "; exit 0;;
start) sleep 30 </dev/null >/dev/null 2>&1 & echo $! >'{root}/started'; echo jelly;;
esac
"""


@pytest.fixture
def monitored(plain):
    """Podman that leaves its monitor behind; gives the machine, and what the monitor has open."""
    root = plain.paths.root
    program = Path(plain.paths.at("usr/bin/podman"))
    program.write_text(LEAVES_A_MONITOR.format(root=root))
    program.chmod(0o755)
    for tool in ("sleep", "test", "echo"):
        os.symlink(shutil.which(tool), plain.paths.at("usr/bin", tool))

    def opened():
        pid = Path(root, "started").read_text().strip()
        return [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]

    yield plain, opened
    os.kill(int(Path(root, "started").read_text()), signal.SIGKILL)


def stopped(machine):
    return planned(machine, "container.stop", {"tool": "podman", "name": "jelly"}, baseline={"active": True})


def test_what_a_start_leaves_behind_keeps_no_lock(monitored, tmp_path):
    machine, opened = monitored
    lock = os.open(tmp_path / "guest.lock", os.O_CREAT | os.O_RDWR)
    holding = replaced(machine, programs=machine.programs.holding(lock))
    KIND.undo(stopped(holding), holding)
    os.close(lock)
    assert not [path for path in opened() if path.endswith(".lock")]


def test_what_undo_sh_leaves_behind_keeps_no_lock(monitored):
    machine, opened = monitored
    assert ran_undo_sh(machine, stopped(machine))
    assert not [path for path in opened() if path.endswith(".lock")]
