"""systemd, logind and the programs answer as on Debian 12 (systemd 252)."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from machine_driver import SECONDS
from recordings import recording

from vfioctl.testing import scenarios
from vfioctl.testing.model import FakeProcess, FakeSession, FakeUnit
from vfioctl.wait import until

GPU = scenarios.GPU


def comms(machine):
    return {one["comm"]: one["pid"] for one in machine.kernel.processes()}


def test_the_alias_of_the_display_manager_shows_the_real_unit(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop())
    shown = machine.run("systemctl", "show", "--property=Id,LoadState,ActiveState", "display-manager.service", "nope")
    assert shown.stdout == (
        "Id=lightdm.service\nLoadState=loaded\nActiveState=active\n\n"
        "Id=nope.service\nLoadState=not-found\nActiveState=inactive\n"
    )


def test_stopping_the_display_manager_ends_its_server_and_session(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop())
    assert machine.run("systemctl", "stop", "display-manager").returncode == 0
    assert machine.run("systemctl", "is-active", "lightdm").returncode == 3
    assert machine.run("loginctl", "list-sessions", "--no-legend").stdout == ""
    assert not {"Xorg", "firefox", "lightdm"} & comms(machine).keys()
    assert "pipewire" in comms(machine)


def test_starting_the_display_manager_brings_a_greeter_on_the_card(machine_of):
    machine = machine_of(scenarios.bochs_lab())
    machine.run("systemctl", "stop", "lightdm")
    machine.run("systemctl", "start", "lightdm")
    sessions = json.loads(machine.run("loginctl", "list-sessions", "--output=json").stdout)
    assert [(one["session"], one["user"]) for one in sessions] == [("c1", "lightdm")]
    pid = comms(machine)["Xorg"]
    open_files = machine.root / f"proc/{pid}/fd"
    links = [os.readlink(open_files / name) for name in os.listdir(open_files)]
    assert [link.endswith("/dev/dri/card0") for link in links] == [True]


def test_without_a_card_the_display_manager_is_active_and_nobody_greets(machine_of):
    machine = machine_of(scenarios.bochs_lab())
    machine.run("systemctl", "stop", "lightdm")
    machine.write("sys/bus/pci/drivers/bochs-drm/unbind", GPU)
    machine.run("systemctl", "start", "lightdm")
    assert machine.run("systemctl", "is-active", "lightdm").stdout == "active\n"
    assert machine.run("loginctl", "list-sessions", "--no-legend").stdout == ""
    assert "Xorg" not in comms(machine)


def test_a_start_over_the_limit_needs_reset_failed(machine_of):
    limited = FakeUnit("limited.service", active=False, start_limit=1)
    machine = machine_of(scenarios.with_unit(scenarios.generic_nic(), limited))
    for verb in ("start", "stop"):
        assert machine.run("systemctl", verb, "limited").returncode == 0
    assert machine.run("systemctl", "start", "limited").returncode == 1
    assert machine.run("systemctl", "is-active", "limited").stdout == "failed\n"
    assert machine.run("systemctl", "reset-failed", "limited").returncode == 0
    assert machine.run("systemctl", "start", "limited").returncode == 0


def test_ending_a_session_ends_its_processes(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop())
    assert machine.run("loginctl", "terminate-session", "--", "2").returncode == 0
    assert "firefox" not in comms(machine)
    again = machine.run("loginctl", "terminate-session", "2")
    assert (again.returncode, "No session '2' known" in again.stderr) == (1, True)


def test_a_session_can_outlive_the_display_manager(machine_of):
    spec = scenarios.single_gpu_amdgpu_desktop()
    wayland = replace(spec.sessions[0], type="wayland", ends_with=())
    machine = machine_of(replace(spec, sessions=(wayland,)))
    machine.run("systemctl", "stop", "lightdm")
    assert "firefox" in comms(machine)
    assert "Type=wayland" in machine.run("loginctl", "show-session", "2", "-p", "Type").stdout


@pytest.mark.parametrize(("deaf", "killed", "ends_as"), [
    ("ignores_term", "lightdm.service", "failed"), ("stop_waits", "session-c1.scope", "inactive"),
])  # fmt: skip
def test_a_stop_that_does_not_end_by_itself_ends_with_sigkill(machine_of, deaf, killed, ends_as):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop(logged_in=False))
    machine.kernel.set_unit("lightdm.service", **{deaf: True})
    client = machine.popen("systemctl", "stop", "lightdm")
    assert until(lambda: active_state(machine) == "deactivating", 10)
    assert machine.run("systemctl", "list-jobs", "--no-legend").stdout.split()[1:3] == ["lightdm.service", "stop"]
    assert machine.run("systemctl", "kill", "--signal=SIGKILL", "--", killed).returncode == 0
    assert client.wait(10) == 0
    assert (active_state(machine), machine.run("systemctl", "list-jobs", "--no-legend").stdout) == (ends_as, "")
    assert "Xorg" not in comms(machine)


def test_a_start_waits_for_a_stop_that_runs_and_cancels_it_for_who_waits_for_that(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop(logged_in=False))
    machine.kernel.set_unit("lightdm.service", ignores_term=True)
    stop = machine.popen("systemctl", "stop", "lightdm")
    assert until(lambda: active_state(machine) == "deactivating", 10)
    start = machine.popen("systemctl", "start", "lightdm")
    assert stop.wait(10) == 1  # "Job for lightdm.service canceled."
    machine.run("systemctl", "kill", "--signal=SIGKILL", "lightdm")
    assert (start.wait(10), active_state(machine)) == (0, "active")


def test_a_client_that_is_killed_leaves_its_job(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop(logged_in=False))
    machine.kernel.set_unit("lightdm.service", ignores_term=True)
    client = machine.popen("systemctl", "restart", "lightdm")
    assert until(lambda: active_state(machine) == "deactivating", 10)
    client.kill()
    assert client.wait(10) == -9
    machine.run("systemctl", "kill", "--signal=SIGKILL", "lightdm")
    assert active_state(machine) == "active"


def test_a_session_whose_leader_is_deaf_is_closing_until_that_is_killed(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop())
    machine.kernel.end_session("2")
    machine.kernel.add_session(FakeSession("2", "alice", 1000, lingers=True))
    assert machine.run("loginctl", "terminate-session", "2").returncode == 0
    assert machine.run("loginctl", "show-session", "2", "-p", "State").stdout == "State=closing\n"
    machine.run("loginctl", "kill-session", "--kill-who=leader", "--signal=SIGKILL", "--", "2")
    assert machine.run("loginctl", "show-session", "2").returncode == 1


def active_state(machine):
    return machine.run("systemctl", "show", "--property=ActiveState", "--value", "lightdm").stdout.strip()


def test_user_units_answer_only_while_the_users_manager_runs(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop())
    listed = machine.run("systemctl", "--user", "-M", "1000@", "list-units", "--no-legend", "--plain")
    assert "pipewire.service loaded active running" in listed.stdout
    nobody = machine.run("systemctl", "--user", "-M", "65534@", "show", "x")
    assert (nobody.returncode, nobody.stderr) == (1, "Failed to get properties: Transport endpoint is not connected\n")


def test_without_systemd_nothing_of_it_answers(machine_of):
    machine = machine_of(replace(scenarios.generic_nic(), systemd=False))
    assert not (machine.root / "run/systemd/system").exists()
    assert "not been booted with systemd" in machine.run("systemctl", "list-units").stderr


def test_a_transient_unit_gets_its_words_as_systemd_expands_them(machine_of):
    machine = machine_of(scenarios.bochs_lab())
    words = ("/bin/sleep", "60", "$NOTHING", "a${NOTHING}b", "$$HOME", "a$b", "$$${NOTHING}$$")
    machine.run("systemd-run", "--unit=one", "--", "/bin/sh", "-c", "sleep 60", *words)
    pid = machine.kernel.units()["system/one.service"]["pid"]
    expected = ["/bin/sleep", "60", "ab", "$HOME", "a$b", "$$"]
    assert until(lambda: Path(f"/proc/{pid}/cmdline").read_text().split("\0")[3:-1] == expected, SECONDS)


def test_a_transient_unit_is_a_process_of_the_machine_and_not_of_the_caller(machine_of):
    machine = machine_of(scenarios.generic_nic())
    mark = machine.root / "tmp/mark"
    command = f"echo $PPID > {mark}; sleep 100"
    machine.run("systemd-run", "--quiet", "--collect", "--unit=job", "--", "sh", "-c", command)
    assert until(mark.exists, SECONDS)
    assert until(lambda: machine.kernel.units()["system/job.service"]["pid"], SECONDS)
    pid = machine.kernel.units()["system/job.service"]["pid"]
    assert machine.read(f"proc/{pid}/cgroup") == "0::/system.slice/job.service"
    assert machine.run("systemd-run", "--unit=job", "true").returncode == 1
    assert machine.run("systemctl", "stop", "job.service").returncode == 0
    assert not (machine.root / f"proc/{pid}").exists()
    assert machine.run("systemctl", "show", "-p", "LoadState", "job").stdout == "LoadState=not-found\n"


def test_a_timer_starts_its_unit_when_it_is_due(machine_of):
    machine = machine_of(scenarios.generic_nic())
    mark = machine.root / "tmp/mark"
    machine.run("systemd-run", "--unit=late", "--on-active=200ms", "touch", str(mark))
    assert not mark.exists()
    assert until(mark.exists, SECONDS)
    assert until(lambda: not {"system/late.timer", "system/late.service"} & set(machine.kernel.units()), SECONDS)


@pytest.mark.parametrize(("condition", "then"), [("absent", "unmet"), ("", "running")])
def test_a_timed_unit_and_its_condition_are_listed_as_systemd_lists_them(machine_of, condition, then):
    machine = machine_of(scenarios.generic_nic())
    path = f"--property=ConditionPathExists={machine.root}/tmp/{condition}"
    machine.run("systemd-run", "--unit=vfioctl-deadman-win11", "--on-active=500ms", path, "sleep", "1")
    assert listed(machine) == states("waiting")
    assert until(lambda: listed(machine) != states("waiting"), SECONDS)
    assert listed(machine) == states(then)
    assert until(lambda: listed(machine) == states("ended"), SECONDS)


def listed(machine) -> list[list[str]]:
    """Name, load state and state of the units."""
    argv = ("systemctl", "list-units", "--all", "--no-legend", "--no-pager", "--plain", "vfioctl-deadman-win11*")
    return sorted(line.split()[:3] for line in machine.run(*argv).stdout.splitlines())


def states(name: str) -> list[list[str]]:
    """The same, as recorded."""
    return sorted(line.split()[:3] for line in recording(f"units-later-{name}").stdout.splitlines())


def test_an_inhibitor_lasts_as_long_as_its_command(machine_of):
    machine = machine_of(scenarios.generic_nic())
    argv = [str(machine.root / "usr/bin/systemd-inhibit"), "--what=sleep", "--who=vfioctl", "sleep", "100"]
    holder = subprocess.Popen(argv, env={"PATH": machine.host.paths.programs})
    assert until(lambda: bool(machine.kernel.inhibitors()), SECONDS)
    assert machine.kernel.inhibitors()[0]["who"] == "vfioctl"
    holder.kill()
    holder.wait()
    assert machine.kernel.inhibitors() == []


def test_kill_reaches_simulated_processes(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop())
    assert machine.run("kill", "-s", "TERM", "--", "5000022").returncode == 0
    assert not (machine.root / "proc/5000022").exists()
    assert machine.run("kill", "5000022").returncode == 1


def test_proc_shows_a_process_as_linux_does(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop())
    fields = machine.read("proc/5000022/stat").rpartition(")")[2].split()
    assert (fields[0], fields[19]) == ("S", "4200")
    assert machine.read("proc/5000022/comm") == "firefox"
    assert machine.read("proc/5000022/cgroup") == "0::/user.slice/user-1000.slice/session-2.scope"
    assert machine.read("proc/5000024/cgroup").endswith("/user@1000.service/session.slice/pipewire.service")
    assert "/dev/dri/card0" in machine.read("proc/5000011/maps")


def test_a_container_holds_a_node_under_a_name_of_its_own(machine_of):
    machine = machine_of(scenarios.two_nvidia())
    pid = machine.kernel.add_process(FakeProcess(
        "python3", opens=("/dev/nvidia0",), shown_as=(("/dev/nvidia0", "/dev/gpu"),), container="0123456789ab"))
    link = machine.root / f"proc/{pid}/fd/3"
    assert os.readlink(link).endswith("/dev/gpu")
    status = os.stat(link)
    assert stat.S_ISCHR(status.st_mode)
    assert status.st_rdev == os.stat(machine.root / "dev/nvidia0").st_rdev
    assert "docker-0123456789ab.scope" in machine.read(f"proc/{pid}/cgroup")


@pytest.mark.parametrize("unit", ["docker.service", "snap.docker.dockerd.service"])
@pytest.mark.parametrize("options", [(), ("--live-restore",)])
def test_containers_end_with_the_daemon_unless_it_was_started_to_leave_them(machine_of, unit, options):
    machine = scenarios.media_server()
    dockerd = FakeProcess("dockerd", unit=unit, cmdline=("/usr/sbin/dockerd", *options))
    others = tuple(one for one in machine.processes if one.comm != "dockerd")
    machine = machine_of(replace(machine, units=(FakeUnit(unit),), processes=(*others, dockerd)))
    assert machine.run("systemctl", "stop", unit).returncode == 0
    assert ("ffmpeg" in comms(machine)) is bool(options)


def test_real_processes_are_passed_through(machine_of):
    machine = machine_of(scenarios.generic_nic())
    own = os.getpid()
    assert machine.read(f"proc/{own}/comm") == Path(f"/proc/{own}/comm").read_text().strip()
    assert str(own) not in os.listdir(machine.root / "proc")
    assert not (machine.root / "proc/4999999").exists()
