"""`rescue` says what it will do, asks, shows each step, stops at a running guest, names the log: as users run it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hand_offs import BY_NAME, GPU, GUEST, Stage, stage
from terminals import on_a_terminal
from txn_builders import step

from vfioctl.kinds.common import driver_of
from vfioctl.testing.domains import UUID
from vfioctl.testing.model import FakeProcess
from vfioctl.txn.resources import Ledger
from vfioctl.wait import until


@pytest.fixture
def on(tmp_path) -> Iterator[Stage]:
    """A desktop with one card, which its guest has been given."""
    with stage(BY_NAME["nvidia-greeter"], tmp_path) as one:
        assert one.start().status == 0
        yield one


def log_of(on: Stage) -> Path:
    return Path(on.host.paths.log, f"undo-{UUID}.log")


def test_a_running_guest_keeps_its_card_and_the_way_to_stop_it_is_named(on) -> None:
    on.host.kernel.clear_log()
    ended = on.command("rescue", "--yes")
    assert ended.returncode == 3
    assert "win11 runs with the card (process 50" in ended.stderr
    assert "Stop it first: virsh destroy win11\n" in ended.stderr  # of another root, also where libvirt-python is there
    assert (on.host.kernel.writes(), log_of(on).exists()) == ([], False)
    assert not [call for call in on.host.kernel.calls() if "start" in call["argv"]]


def test_it_says_first_what_it_will_do_then_shows_each_step(on) -> None:
    on.guest_ends()
    ended = on.command("rescue", "--yes")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert driver_of(on.host.paths, GPU) == "nvidia"
    first, *lines = ended.stdout.splitlines()
    assert first == "This will be done:"
    begins = next(number for number, line in enumerate(lines) if line.startswith("  undo   "))
    announced = [line.strip() for line in lines[:begins] if line.startswith("    ")]
    assert f"Its log: {log_of(on)}" in announced
    done = [line.split()[1] for line in lines if line.startswith("  undo   ")]
    assert done == announced[: len(done)]
    assert any(GPU in identifier for identifier in done)
    assert "         module nvidia is loaded again" in lines
    assert lines[-1] == "Close the journals with: vfioctl recover"
    status = on.command("status").stdout
    assert "undo.sh has undone it. Close its journal with: vfioctl recover win11" in status
    assert "given to" not in status
    assert on.command("recover").returncode == 0


@pytest.mark.parametrize("more", [(), ("--format", "json"), ("--guest", GUEST)])
def test_without_anybody_to_ask_it_refuses_before_anything_is_touched(on, more) -> None:
    on.guest_ends()
    on.host.kernel.clear_log()
    ended = on.command("rescue", *more)
    assert ended.returncode == 3
    assert f"Go on without being asked: {' '.join(('vfioctl rescue', *more))} --yes" in ended.stdout + ended.stderr
    assert "rescue.unconfirmed" in ended.stdout + ended.stderr
    assert on.host.kernel.writes() == []


def test_on_a_terminal_it_asks_and_goes_on_with_a_yes(on) -> None:
    on.guest_ends()
    status, shown = on_a_terminal(on, ("rescue",), b"y\n")
    assert (status, "Go on? [y/N]" in shown, "undo   " in shown) == (0, True, True)


def test_on_a_terminal_a_no_leaves_everything_as_it_was(on) -> None:
    on.guest_ends()
    on.host.kernel.clear_log()
    status, shown = on_a_terminal(on, ("rescue",), b"n\n")
    assert (status, "[rescue.unconfirmed]" in shown) == (3, True)
    assert on.host.kernel.writes() == []


def test_an_undo_that_fails_is_told_in_its_own_words_with_its_log_and_the_desktop_is_started(on) -> None:
    on.guest_ends()
    on.host.kernel.fail_module("nvidia", count=9)
    ended = on.command("rescue", "--yes", "--format", "json")
    shown = json.loads(ended.stdout)
    error = next(error for error in shown["errors"] if error["code"] == "rescue.script")
    assert ended.returncode == 1
    assert "module nvidia was not loaded" in error["message"]
    assert f"Its log: {log_of(on)}" in error["hints"]
    assert "lightdm.service" in shown["data"]["started"]


def why(ended: subprocess.CompletedProcess[str]) -> str:
    """What is said of the script that failed."""
    assert ended.returncode == 1
    assert "it said nothing" not in ended.stderr
    return next(line for line in ended.stderr.splitlines() if "[rescue.script]" in line)


def test_a_device_that_a_process_keeps_open_is_said(on) -> None:
    on.guest_ends()
    pid = on.host.kernel.add_process(FakeProcess("thief", opens=("/dev/vfio/[0-9]*",)))
    assert f"is still open in a process: {pid} (thief)" in why(on.command("rescue", "--yes"))


def test_of_an_undo_that_breaks_off_the_end_of_its_log_is_quoted(on) -> None:
    on.guest_ends()
    script = Path(on.host.paths.guest_markers(GUEST), "undo.sh")
    script.write_text(script.read_text().replace("\nbegin\n", "\nbegin\nexit 7\n", 1))
    assert f"its log ends with: undo of guest {GUEST} ({UUID})" in why(on.command("rescue", "--yes"))


def test_a_log_that_cannot_be_written_is_said(on) -> None:
    on.guest_ends()
    on.host.kernel.fail_module("nvidia", count=9)
    shutil.rmtree(on.host.paths.log)
    Path(on.host.paths.log).touch()
    said = why(on.command("rescue", "--yes"))
    assert "it ended with status 1, and nothing of its log can be shown" in said


def test_an_interrupt_ends_the_watching_and_the_undo_goes_on(on) -> None:
    on.guest_ends()
    lock = Path(on.host.paths.locks, f"guest-{UUID}.lock")
    holding = subprocess.Popen(["flock", str(lock), "sh", "-c", "echo held; read line"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert holding.stdout
    assert holding.stdin
    assert holding.stdout.readline() == "held\n"
    process = subprocess.Popen([*on.host.argv, "rescue", "--yes"], text=True, start_new_session=True, cwd="/",
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    assert until(lambda: log_of(on).exists() and "undo of guest" in log_of(on).read_text(), 20)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    holding.stdin.close()
    holding.wait(10)
    holding.stdout.close()
    assert process.returncode == 130
    assert f"The undo of win11 goes on by itself; its log is {log_of(on)}." in err
    assert "vfioctl status" in err
    assert until(lambda: "ended with status 0" in log_of(on).read_text(), 30)
    assert driver_of(on.host.paths, GPU) == "nvidia"


def test_only_the_undo_of_the_guest_that_was_named_is_run(on) -> None:
    on.guest_ends()
    other = Path(on.host.paths.guest_markers("linux"))
    other.mkdir(mode=0o700)
    (other / "undo.sh").write_text(f"touch {on.root}/planted\n")
    (other / "undo.sh").chmod(0o700)
    assert on.command("rescue", "--yes", "--guest", GUEST).returncode == 0
    assert not Path(on.root, "planted").exists()
    assert on.command("rescue", "--yes", "--guest", "nosuch").returncode == 3


# ---------------------------------------------------------------- hosts without an undo


def test_a_headless_host_has_nothing_to_rescue(tmp_path) -> None:
    with stage(BY_NAME["generic"], tmp_path) as on:
        ended = on.command("rescue")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "Nothing is to be done" in ended.stdout


def test_without_an_undo_the_display_manager_is_started(tmp_path) -> None:
    with stage(BY_NAME["nvidia-greeter"], tmp_path) as on:
        ended = on.command("rescue", "--yes")
        assert (ended.returncode, "started display-manager.service" in ended.stdout) == (0, True)
        calls = [call["argv"] for call in on.host.kernel.calls()]
        assert ["systemctl", "reset-failed", "--", "display-manager.service"] in calls


def test_a_display_manager_that_does_not_start_is_an_error(tmp_path) -> None:
    with stage(BY_NAME["nvidia-greeter"], tmp_path) as on:
        on.host.kernel.set_unit("lightdm.service", active_state="inactive", start_fails=True)
        ended = on.command("rescue", "--yes")
        assert ended.returncode == 1
        assert "display-manager.service does not start: systemctl start -- display-manager.service" in ended.stderr
        assert "[rescue.desktop]" in ended.stderr


def test_what_is_recorded_as_stopped_is_started(tmp_path) -> None:
    with stage(BY_NAME["nvidia-greeter"], tmp_path) as on:
        stopped = step("dm", kind="unit.stop", params={"unit": "lightdm.service"}, resource="unit:lightdm.service",
                       baseline={"active": True})  # fmt: skip
        Ledger(on.host.paths).join(stopped, UUID, "win11")
        assert "started lightdm.service" in on.command("rescue", "--yes").stdout
