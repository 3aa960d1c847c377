"""`recover` called in a login works in a transient system unit that outlives the terminal, and shows what that says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hand_offs import BY_NAME, Stage, stage
from recoveries import as_before

from vfioctl.testing.crash import paused
from vfioctl.wait import until

SESSION = "/user.slice/user-1000.slice/session-2.scope"
MANAGER = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-foot-1.scope"
# Whatever ignores SIGHUP or SIGINT above us, such as nohup: in a terminal neither is ignored.
WAITING = ["env", "--default-signal=HUP,INT", "sh", "-c", 'read go; exec "$@"', "sh"]


@pytest.fixture
def on(tmp_path) -> Iterator[Stage]:
    """A start that was killed in its middle."""
    with stage(BY_NAME["nvidia-greeter"], tmp_path) as one:
        one.crash_at(22)
        one.prepare()
        one.crash_at(None)
        yield one


def typed(on: Stage, *arguments: str, cgroup: str = SESSION) -> subprocess.Popen[str]:
    """The command, typed in a terminal of that control group."""
    process = subprocess.Popen(
        [*WAITING, *on.host.argv, *arguments], cwd="/", text=True, start_new_session=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    on.host.kernel.place(process.pid, cgroup)
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()
    return process


def shown(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def units(on: Stage) -> list[list[str]]:
    """How the transient units were started that recoveries ran in."""
    calls = (call["argv"] for call in on.host.kernel.calls())
    return [argv for argv in calls if any(word.startswith("--unit=vfioctl-recover") for word in argv)]


@pytest.mark.parametrize("cgroup", [SESSION, MANAGER])
def test_it_runs_in_a_unit_and_shows_each_step_and_the_result(on, cgroup):
    status, out, err = shown(typed(on, "recover", cgroup=cgroup))
    assert (status, err) == (0, "")
    assert "  undo   module.unload:nvidia" in out
    assert "win11: the interrupted hand-off was undone." in out
    assert len(units(on)) == 1
    assert not [name for name in os.listdir(on.host.paths.run) if name.startswith("recover-")]
    as_before(on)


def test_the_envelope_and_the_status_are_those_of_the_unit(on):
    on.host.kernel.fail_module("nvidia", count=9)
    status, out, err = shown(typed(on, "recover", "win11", "--format", "json"))
    envelope = json.loads(out)
    assert (status, err) == (1, "")
    assert (envelope["command"], envelope["errors"][0]["code"]) == ("recover", "return.unfinished")
    assert len(units(on)) == 1


@contextmanager
def in_the_middle(on: Stage, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A recovery that stands at its third boundary for as long as the block lasts."""
    on.pause_at(3)
    process = typed(on, *arguments)
    assert until(lambda: paused(on.root), 20)
    yield process
    pid = paused(on.root)
    on.crash_at(None)
    if pid:
        os.kill(pid, signal.SIGCONT)


def test_the_first_steps_are_shown_while_later_ones_still_run(on):
    with in_the_middle(on, "recover") as process:
        assert process.stdout
        assert process.stdout.readline().startswith("  undo   ")
    assert shown(process)[0] == 0


def test_it_goes_on_when_the_terminal_ends_with_its_session(on):
    with in_the_middle(on, "recover") as process:
        os.killpg(process.pid, signal.SIGHUP)
        assert shown(process)[0] == 128 + signal.SIGHUP
    assert on.wait_for_return()
    assert until(lambda: not [name for name in os.listdir(on.host.paths.run) if name.startswith("recover-")], 20)
    as_before(on)


def test_it_goes_on_when_the_user_interrupts_and_that_is_said(on):
    with in_the_middle(on, "recover") as process:
        process.send_signal(signal.SIGINT)
        status, _, err = shown(process)
        assert status == 130
        assert "The recovery goes on in vfioctl-recover-" in err
    assert on.wait_for_return()


def test_a_unit_that_is_killed_is_said(on):
    with in_the_middle(on, "recover") as process:
        (unit,) = [one for name, one in on.host.kernel.units().items() if "vfioctl-recover" in name]
        os.killpg(unit["pid"], signal.SIGKILL)
        status, _, err = shown(process)
        assert (status, "[recover.lost]" in err) == (1, True)
    assert on.command("recover").returncode == 0


@pytest.mark.parametrize("how", ["missing", "failing"])
def test_without_a_unit_it_runs_in_its_own_process_and_says_so(on, how):
    if how == "missing":
        on.host.kernel.remove_program("systemd-run")
    else:
        on.host.kernel.fail_program("systemd-run")
    status, out, err = shown(typed(on, "recover"))
    assert status == 0
    assert "the interrupted hand-off was undone" in out
    assert "[recover.apart]" in err
    assert "systemd-run" in err
    as_before(on)


@pytest.mark.parametrize("cgroup", ["/system.slice/vfioctl-recover.service", "/system.slice/cron.service", "/"])
def test_outside_of_a_login_it_needs_no_unit(on, cgroup):
    assert shown(typed(on, "recover", cgroup=cgroup))[0] == 0
    assert units(on) == []


def test_without_systemd_it_needs_no_unit(tmp_path):
    with stage(BY_NAME["without-systemd"], tmp_path) as on:
        on.crash_at(4)
        on.prepare()
        on.crash_at(None)
        assert shown(typed(on, "recover"))[0] == 0
        assert units(on) == []
        as_before(on)


def test_with_nothing_to_do_no_unit_is_started(tmp_path):
    with stage(BY_NAME["generic"], tmp_path) as on:
        assert shown(typed(on, "recover")) == (0, "Nothing is unfinished.\n", "")
        on.start()
        status, out, _ = shown(typed(on, "recover"))
        assert (status, "win11 is running with its devices." in out) == (0, True)
        assert units(on) == []
        on.stop()


def test_the_name_of_the_guest_and_an_abort_are_passed_on(on):
    status, out, _ = shown(typed(on, "recover", "--abort", "--", "win11"))
    assert (status, "win11: the interrupted hand-off was undone." in out) == (0, True)
    (run,) = units(on)
    assert run[-4:] == ["recover", "--abort", "--", "win11"]
