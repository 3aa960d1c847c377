"""Containers on the card: named in the refusal, stopped and started again where the guest file lists them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vfioctl.events.domain import read_domain
from vfioctl.handoff import containers
from vfioctl.handoff import make_plan as planner
from vfioctl.handoff.make_plan import make_plan, read_config
from vfioctl.handoff.outcome import read_last
from vfioctl.log import Log
from vfioctl.testing import scenarios
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.model import FakeContainer, FakeProcess, FakeUnit, MachineSpec
from vfioctl.txn import recover
from vfioctl.txn.journal import open_uuids
from vfioctl.txn.plan import Plan
from vfioctl.wait import until

GPU, SOUND = "0000:01:00.0", "0000:01:00.1"
XML = domain("win11", hostdevs=(GPU, SOUND)).encode()
OPENS = ("/dev/nvidia0", "/dev/nvidiactl")
DOCKER = FakeUnit("docker.service")


def holding(tool: str, *, uid: int | None = None, **fields) -> MachineSpec:
    """A container called `jelly` has the card open; docker.service runs."""
    process = FakeProcess("ffmpeg", uid=uid or 0, opens=OPENS)
    jelly = FakeContainer("jelly", "cd" * 32, tool, uid=uid, brings=(process,), **fields)
    machine = scenarios.two_gpu(logged_in=False)
    return replace(machine, containers=(jelly,), units=(*machine.units, DOCKER))


def planned(fake: FakeHost, settings: str = "") -> Plan:
    libvirt = FakeLibvirt(fake)
    libvirt.manage("win11", settings)
    log = Log(fake.paths, stderr=None)
    config, known = read_config(libvirt.composition, "win11", log)
    return make_plan(libvirt.composition, read_domain(XML), config, known).plan


def told(plan: Plan) -> dict[str, str]:
    return {finding.code: f"{finding.message} {finding.hint}" for finding in plan.findings}


@pytest.mark.parametrize(
    ("machine", "command", "setting"),
    [
        (scenarios.media_server(), "docker stop jellyfin", 'containers = ["docker:jellyfin"]'),
        (holding("podman"), "podman stop jelly", 'containers = ["podman:jelly"]'),
        (
            holding("podman", uid=113), "sudo -u lightdm XDG_RUNTIME_DIR=/run/user/113 podman stop jelly",
            'containers = ["podman:lightdm/jelly"]',
        ),
    ],
)  # fmt: skip
def test_who_holds_the_card_is_named_with_what_stops_it(start_host, machine, command, setting) -> None:
    said = told(planned(start_host(machine)))["holder.alive"]
    assert f"Stop it with: {command}, or " in said
    assert setting in said


@pytest.mark.parametrize("entry", ["jellyfin", "docker:jellyfin"])
def test_a_listed_container_is_released_by_its_stop(start_host, entry) -> None:
    plan = planned(start_host(scenarios.media_server()), f'containers = ["{entry}"]\n')
    assert plan.blocks == ()
    step = plan.step(f"container.stop:{entry}")
    assert step.params == {"tool": "docker", "name": "jellyfin"}


def test_only_the_listed_container_is_released(start_host) -> None:
    machine = scenarios.media_server()
    other = FakeContainer("trainer", "ef" * 32, brings=(FakeProcess("python3", opens=OPENS),))
    plan = planned(start_host(replace(machine, containers=(*machine.containers, other))), 'containers = ["jellyfin"]\n')
    (block,) = plan.blocks
    assert "trainer" in block.message


def test_a_container_that_a_unit_made_is_stopped_by_its_unit(start_host) -> None:
    machine = holding("podman", auto_remove=True, labels=(("PODMAN_SYSTEMD_UNIT", "jelly.service"),))
    plan = planned(start_host(replace(machine, units=(*machine.units, FakeUnit("jelly.service")))),
                   'containers = ["podman:jelly"]\n')  # fmt: skip
    assert plan.blocks == ()
    step = plan.step("container.stop:podman:jelly")
    assert (step.kind, step.params) == ("unit.stop", {"unit": "jelly.service"})


def test_a_container_that_is_removed_when_it_stops_is_left_alone(start_host) -> None:
    plan = planned(start_host(holding("docker", auto_remove=True)), 'containers = ["jelly"]\n')
    assert {"container.auto_remove", "holder.alive"} <= set(told(plan))


@pytest.mark.parametrize("settings", ["", 'containers = ["jelly"]\n'])
def test_a_container_that_nothing_could_start_again_is_not_advised_to_be_listed(start_host, settings) -> None:
    said = told(planned(start_host(holding("docker", auto_remove=True)), settings))["holder.alive"]
    assert said.endswith("Stop it with: docker stop jelly")


def test_a_name_that_is_none_is_a_warning(start_host) -> None:
    plan = planned(start_host(scenarios.two_gpu(logged_in=False)), 'containers = ["nothing"]\n')
    assert "There is no container nothing" in told(plan)["container.unknown"]
    assert plan.blocks == ()


def test_a_tool_that_does_not_answer_blocks_nothing_by_itself(start_host) -> None:
    fake = start_host(scenarios.two_gpu(logged_in=False))
    fake.kernel.fail_program("docker", 1)
    plan = planned(fake, 'containers = ["docker:jellyfin"]\n')
    assert "container.unreadable" in told(plan)
    assert plan.blocks == ()


@pytest.mark.parametrize(("tool", "other"), [("docker", "podman"), ("podman", "docker")])
def test_a_tool_that_does_not_answer_keeps_no_other_from_being_asked(start_host, tool, other) -> None:
    fake = start_host(holding(other))
    fake.kernel.fail_program(tool, 1)
    plan = planned(fake, 'containers = ["jelly"]\n')
    assert plan.step("container.stop:jelly").params == {"tool": other, "name": "jelly"}
    assert "container.unreadable" not in told(plan)
    assert plan.blocks == ()


def test_a_name_that_one_tool_does_not_know_and_the_other_does_not_tell_is_a_warning(start_host) -> None:
    fake = start_host(scenarios.two_gpu(logged_in=False))
    fake.kernel.fail_program("docker", 1)
    assert "container.unreadable" in told(planned(fake, 'containers = ["nothing"]\n'))


def test_dockers_containers_end_with_its_listed_daemon(start_host) -> None:
    plan = planned(start_host(scenarios.media_server()), 'units = ["docker.service"]\n')
    assert plan.blocks == ()
    assert "jellyfin" in told(plan)["container.ends_with"]


def test_with_live_restore_they_do_not_and_the_plan_says_why(start_host) -> None:
    fake = start_host(scenarios.media_server())
    daemon = Path(fake.root, "etc/docker/daemon.json")
    daemon.parent.mkdir()
    daemon.write_text('{"live-restore": true}')
    plan = planned(fake, 'units = ["docker.service"]\n')
    assert "live-restore" in told(plan)["container.goes_on"]
    assert [one.code for one in plan.blocks] == ["holder.alive"]


def daemon(unit: str, *options: str) -> MachineSpec:
    """jellyfin has the card open; docker.service is replaced by `unit`, whose dockerd has these options."""
    machine = scenarios.media_server()
    dockerd = FakeProcess("dockerd", unit=unit, cmdline=("/usr/sbin/dockerd", "-H", "fd://", *options))
    units = (*(one for one in machine.units if one.name != DOCKER.name), FakeUnit(unit, brings=(dockerd,)))
    others = tuple(one for one in machine.processes if one.comm != "dockerd")
    return replace(machine, units=units, processes=(*others, dockerd))


def test_live_restore_as_an_option_of_the_daemon_keeps_them_too(start_host) -> None:
    plan = planned(start_host(daemon("docker.service", "--live-restore")), 'units = ["docker.service"]\n')
    assert "live-restore" in told(plan)["container.goes_on"]
    assert [one.code for one in plan.blocks] == ["holder.alive"]


def test_they_end_with_the_daemon_of_the_snap(start_host) -> None:
    unit = "snap.docker.dockerd.service"
    plan = planned(start_host(daemon(unit)), f'units = ["{unit}"]\n')
    assert plan.blocks == ()
    assert unit in told(plan)["container.ends_with"]


def test_with_two_daemons_they_are_not_taken_for_those_of_the_listed_one(start_host) -> None:
    machine = scenarios.media_server()
    units = (*machine.units, FakeUnit("snap.docker.dockerd.service"))
    plan = planned(start_host(replace(machine, units=units)), 'units = ["docker.service"]\n')
    assert "snap.docker.dockerd.service runs too" in told(plan)["container.goes_on"]
    assert [one.code for one in plan.blocks] == ["holder.alive"]


def test_what_goes_on_without_its_daemon_does_not_end_with_that(start_host) -> None:
    machine = scenarios.media_server()
    units = tuple(replace(one, active=one.name != DOCKER.name) for one in machine.units)
    plan = planned(start_host(replace(machine, units=units)), 'units = ["docker.service"]\n')
    assert "it does not run" in told(plan)["container.goes_on"]
    assert [one.code for one in plan.blocks] == ["holder.alive"]


@pytest.mark.parametrize(
    ("group", "advice"),
    [
        ("system.slice/nerdctl-{}.scope", "nerdctl stop cdcdcdcdcdcd"),
        ("kubepods.slice/docker-{}.scope", "kubectl"), ("docker/buildkit/{}", "End that process"),
    ],
)  # fmt: skip
def test_nothing_but_dockers_own_ends_with_it_and_nobodys_session_ends_in_vain(start_host, group, advice) -> None:
    machine = scenarios.single_gpu_nvidia_desktop()
    process = FakeProcess("ffmpeg", opens=OPENS, cgroup=f"/{group.format('cd' * 32)}")
    machine = replace(machine, processes=(*machine.processes, process), units=(*machine.units, DOCKER))
    fake = start_host(machine)
    libvirt = FakeLibvirt(fake)
    libvirt.install()
    libvirt.manage("win11", 'session = "end"\nunits = ["docker.service"]\n')
    refused = libvirt.start("win11", UUID, XML, addresses=(GPU, SOUND))
    assert refused.status == 3, refused.stderr
    assert advice in refused.stderr
    assert sorted(fake.kernel.sessions()) == ["2"]


@pytest.mark.parametrize(
    ("unit", "tool", "why"), [("podman.service", "podman", "conmon"), ("containerd.service", "docker", "shims")]
)
def test_a_listed_service_that_owns_no_container_is_said_to_be_in_vain(start_host, unit, tool, why) -> None:
    machine = holding(tool)
    fake = start_host(replace(machine, units=(*machine.units, FakeUnit(unit))))
    plan = planned(fake, f'units = ["{unit}"]\n')
    assert why in told(plan)["container.goes_on"]
    assert [one.code for one in plan.blocks] == ["holder.alive"]


def test_each_unit_that_something_is_said_of_is_one_that_is_asked_about() -> None:
    assert {*containers.DOCKER_UNITS, *containers.IN_VAIN} == planner.DAEMONS


def test_a_rootless_container_does_not_end_with_the_systems_docker(start_host) -> None:
    plan = planned(start_host(holding("docker", uid=113)), 'units = ["docker.service"]\n')
    assert [one.code for one in plan.blocks] == ["holder.alive"]


@pytest.mark.parametrize("settings", ['containers = ["jellyfin"]\n', 'units = ["docker.service"]\n'])
def test_the_guest_gets_the_card_and_the_container_comes_back_to_it(start_host, settings) -> None:
    fake = start_host(scenarios.media_server())
    libvirt = FakeLibvirt(fake)
    libvirt.install()
    libvirt.manage("win11", settings)
    given = libvirt.start("win11", UUID, XML, addresses=(GPU, SOUND))
    assert given.status == 0, given.stderr
    assert not holders(fake)
    libvirt.stop("win11", XML)
    assert until(lambda: UUID not in open_uuids(fake.paths), 30)
    (ffmpeg,) = holders(fake)
    assert "/dev/nvidia0" in ffmpeg["files"]


@pytest.mark.parametrize("removed", ["container", "tool"])
def test_what_was_removed_while_the_guest_ran_keeps_nothing_open(start_host, removed) -> None:
    fake, libvirt = running_guest(start_host)
    remove(fake, removed)
    libvirt.stop("win11", XML)
    assert until(lambda: UUID not in open_uuids(fake.paths), 30)
    assert until(lambda: (last := read_last(fake.paths, "win11")) is not None and last.event == "release", 10)
    assert read_last(fake.paths, "win11").ok
    assert not holders(fake)


def test_nor_does_what_was_removed_before_a_power_cut(start_host) -> None:
    fake, libvirt = running_guest(start_host)
    remove(fake, "container")
    fake.reboot(replace(scenarios.media_server(), containers=()))
    assert "the host was restarted" in recover.settle(libvirt.composition, UUID)
    assert open_uuids(fake.paths) == ()


def running_guest(start_host) -> tuple[FakeHost, FakeLibvirt]:
    """A guest that has the card which the container jellyfin had."""
    fake = start_host(scenarios.media_server())
    libvirt = FakeLibvirt(fake)
    libvirt.install()
    libvirt.manage("win11", 'containers = ["jellyfin"]\n')
    assert libvirt.start("win11", UUID, XML, addresses=(GPU, SOUND)).status == 0
    return fake, libvirt


def remove(fake: FakeHost, what: str) -> None:
    if what == "tool":
        fake.kernel.remove_program("docker")
    else:
        assert fake.programs.run(("docker", "rm", "jellyfin"), deadline=5).ok


def holders(fake: FakeHost) -> list[dict]:
    return [one for one in fake.kernel.processes() if one["comm"] == "ffmpeg"]
