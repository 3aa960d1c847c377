"""Nobody else's session, unit or container ends for a process that only names its control group after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hand_offs import BY_NAME, Stage

from vfioctl.testing import snapshot
from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import FakeProcess

MALLORY = 1001
MANAGER = f"/user.slice/user-{MALLORY}.slice/user@{MALLORY}.service"
DESKTOPS = {"nvidia-desktop": "/dev/nvidia0", "amdgpu-desktop": "/dev/dri/renderD128"}
BELOW = (
    f"{MANAGER}/session-2.scope", f"{MANAGER}/app.slice/session-2.scope", f"{MANAGER}/session-2.scope/session-2.scope",
    f"{MANAGER}/user.slice/user-1000.slice/session-2.scope", f"{MANAGER}/app.slice/lightdm.service",
    f"{MANAGER}/system.slice/systemd-logind.service", f"{MANAGER}/user@1000.service/session-2.scope",
    f"/user.slice/user-{MALLORY}.slice/session-2.scope", "/docker/77aa/user.slice/user-1000.slice/session-2.scope",
    "/machine.slice/machine-foo.scope/payload/user.slice/user-1000.slice/session-2.scope",
    "/machine.slice/systemd-nspawn@web.service/payload/system.slice/lightdm.service",
    "/lxc.payload.c1/user.slice/user-1000.slice/session-2.scope", "/lxc.payload.c1/system.slice/lightdm.service",
    "/lxc/c1/system.slice/display-manager.service", "/docker/77aa/system.slice/lightdm.service",
    "/lxc.payload.c1/system.slice/systemd-logind.service", "/kubepods/besteffort/pod1/77aa/system.slice/gdm.service",
    "/system.slice/docker-77aa.scope/system.slice/systemd-logind.service",
    "/system.slice/foreign.service/session-2.scope", "/session-2.scope",
)  # fmt: skip


def start_with(scenario: str, place: Path, process: FakeProcess) -> tuple[Stage, int]:
    """A start over `process`, which is refused; the stage and what the hook said."""
    machine = BY_NAME[scenario].machine()
    with FakeHost(replace(machine, processes=(*machine.processes, process)), place) as host:
        stage = Stage(BY_NAME[scenario], host)
        before = stage.look()
        call = stage.prepare()
        after = stage.look()
        calls = [call["argv"] for call in host.kernel.calls()]
    assert (call.status, "Nothing was changed" in call.stderr) == (3, True)
    assert "miner" in call.stderr
    assert snapshot.difference(before, after, allowed=("var/log/vfioctl*", "var/lib/vfioctl*", "run/vfioctl*")) == ()
    assert not [argv for argv in calls if "terminate-session" in argv or "stop" in argv]
    return stage, call.status


@pytest.mark.parametrize("scenario", DESKTOPS)
@pytest.mark.parametrize("cgroup", BELOW)
def test_a_group_that_is_named_after_a_session_or_unit_ends_neither(place: Path, scenario: str, cgroup: str):
    start_with(scenario, place, FakeProcess("miner", uid=MALLORY, cgroup=cgroup, opens=(DESKTOPS[scenario],)))


@pytest.mark.parametrize("unit", ["session-2.scope", "session-c1.scope", "lightdm.service", "systemd-logind.service"])
def test_a_users_unit_that_is_named_after_a_session_or_unit_ends_neither(place: Path, unit: str):
    miner = FakeProcess("miner", uid=MALLORY, user_unit=unit, opens=("/dev/nvidia0",))
    start_with("nvidia-desktop", place, miner)


@pytest.mark.parametrize("path", ["docker-{}.scope", "app.slice/docker-{}.scope", "docker/{}", "x.service/docker/{}"])
def test_a_users_group_that_is_named_after_a_listed_container_does_not_stop_it(place: Path, path: str):
    """The id of a container is in the control groups of its processes, which everybody may read."""
    (listed,) = BY_NAME["container"].machine().containers
    group = f"{MANAGER}/{path.format(listed.id)}"
    start_with("container", place, FakeProcess("miner", uid=MALLORY, cgroup=group, opens=("/dev/nvidia0",)))


def test_a_process_of_root_in_the_users_session_ends_with_it(place: Path):
    """As an X server that was started from that session."""
    machine = BY_NAME["nvidia-desktop"].machine()
    server = FakeProcess("Xorg", session="2", opens=("/dev/nvidia0",))
    with FakeHost(replace(machine, processes=(*machine.processes, server)), place) as host:
        assert Stage(BY_NAME["nvidia-desktop"], host).start().status == 0
