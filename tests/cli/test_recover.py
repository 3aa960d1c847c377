"""`recover --abort` stops a hand-off that runs in another process; without it a running one is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hand_offs import BY_NAME, GPU, stage
from txn_builders import UUID, plan

from vfioctl.actions import worker
from vfioctl.actions.facts import Running, refuse_while_running, running
from vfioctl.frozen import replace
from vfioctl.host.processes import STATE, stat_fields
from vfioctl.limits import Limits
from vfioctl.paths import Paths
from vfioctl.txn import blobs
from vfioctl.txn.journal import Journal, read_both
from vfioctl.wait import until

ENGINE = """
import signal, sys
from vfioctl.handoff.notes import guest_lock
from vfioctl.paths import Paths
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
with guest_lock(Paths(sys.argv[1]), sys.argv[2]):
    print("locked", flush=True)
    while not asked:
        signal.pause()
"""


@pytest.fixture
def paths(root: Path) -> Paths:
    """A host whose /proc is the real one, so that real processes are seen, and a journal that was begun."""
    (root / "proc").rmdir()
    (root / "proc").symlink_to("/proc")
    paths = Paths(str(root))
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with Journal(paths, UUID) as journal:
        journal.begin(plan(), boot)
    return paths


@pytest.fixture
def engine(paths: Paths) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of the guest's hand-off."""
    argv = [sys.executable, "-I", "-c", ENGINE, paths.root, UUID]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_process_of_a_running_hand_off_is_found_without_taking_its_lock(paths, engine) -> None:
    assert [(item.uuid, item.pid) for item in running(paths)] == [(UUID, engine.pid)]


def test_a_hand_off_that_has_ended_is_not_taken_for_a_running_one(paths, engine) -> None:
    engine.terminate()
    engine.wait()
    assert running(paths) == ()


def test_a_running_hand_off_is_not_recovered(run, paths, engine) -> None:
    shown = run("recover")
    assert shown.status == 1
    assert f"by process {engine.pid}. [lock.busy]" in shown.err
    assert read_both(paths, UUID)


@pytest.mark.parametrize("name", ["win11", UUID])
def test_abort_stops_it_and_finishes_what_it_left(run, paths, engine, name) -> None:
    shown = run("recover", name, "--abort")
    assert shown.status == 0
    assert "the interrupted hand-off was undone" in shown.out
    assert engine.wait(5) == 0
    assert read_both(paths, UUID) is None


def test_another_guest_is_left_alone(run, paths, engine, root) -> None:
    (root / "etc/vfioctl/guests").mkdir(parents=True)
    (root / "etc/vfioctl/guests/linux.toml").touch()
    assert run("recover", "linux", "--abort").out == "Nothing is unfinished.\n"
    assert engine.poll() is None


def test_libvirt_is_not_asked_while_a_hand_off_runs(run, paths, engine, root) -> None:
    program = root / "usr/bin/virsh"
    program.write_text(f"#!/bin/sh\necho asked >{root}/asked\n")
    program.chmod(0o755)
    shown = run("plan", "win11")
    assert (shown.status, "[libvirt.busy]" in shown.err) == (3, True)
    assert not os.path.exists(root / "asked")


def test_an_operation_that_is_no_hand_off_keeps_nobody_from_libvirt(paths) -> None:
    key = "9c2f6a35-0000-4000-8000-000000000000"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with Journal(paths, key) as journal:
        journal.begin(replace(plan(), key=key, operation="shelf fill"), boot)
    with working(paths, key=key) as process:
        assert running(paths) == (Running(key, process.pid),)
        refuse_while_running(paths)


STUBBORN = ENGINE.replace("lambda *_: asked.append(1)", "signal.SIG_IGN")
SHORT = Limits(prepare=0.5, undo=0.5)


@pytest.fixture
def short(paths: Paths) -> Paths:
    """The same, but the hand-off has one second to stop."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with Journal(paths, UUID) as journal:
        journal.begin(replace(plan(), limits=SHORT), boot)
    return paths


@contextmanager
def working(paths: Paths, script: str = ENGINE, *argv: str, key: str = UUID) -> Iterator[subprocess.Popen[str]]:
    """A process that has the lock of the guest, or of the operation `key`."""
    started = [sys.executable, "-I", "-c", script, paths.root, key, *argv]
    process = subprocess.Popen(started, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "locked\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_abort_continues_a_hand_off_that_was_stopped_and_lets_it_undo_its_work(run, paths, engine) -> None:
    engine.send_signal(signal.SIGSTOP)
    shown = run("recover", "win11", "--abort")
    assert (shown.status, engine.wait(5)) == (0, 0)
    assert "the interrupted hand-off was undone" in shown.out


@pytest.mark.parametrize("stopped", [False, True], ids=["runs", "is stopped"])
def test_abort_kills_a_hand_off_that_ignores_it_and_undoes_it_then(run, short, stopped) -> None:
    with working(short, STUBBORN) as engine:
        if stopped:
            engine.send_signal(signal.SIGSTOP)
        shown = run("recover", "win11", "--abort")
        assert (shown.status, engine.wait(5)) == (0, -signal.SIGKILL)
    assert f"Process {engine.pid} did not stop within 1 s and was killed. [recover.killed]" in shown.err
    assert "the interrupted hand-off was undone" in shown.out
    assert read_both(short, UUID) is None


def test_abort_says_so_when_the_kernel_does_not_let_it_end(run, short, monkeypatch) -> None:
    """A process in D state does not see SIGKILL before the kernel is done with it."""
    monkeypatch.setattr(worker, "KILL_SECONDS", 0.2)
    with working(short) as engine:
        monkeypatch.setattr(signal, "pidfd_send_signal", lambda *_: None)
        shown = run("recover", "win11", "--abort")
        assert engine.poll() is None
    assert (shown.status, "[recover.deadline]" in shown.err) == (1, True)
    assert f"Process {engine.pid} does not end, not even by SIGKILL" in shown.err
    assert read_both(short, UUID)


def test_abort_of_a_hand_off_whose_journal_is_damaged_ends_it_as_well(run, paths, engine) -> None:
    Path(paths.boot_journal(UUID)).write_bytes(b"")
    shown = run("recover", UUID, "--abort")
    assert (shown.status, engine.wait(5)) == (1, 0)
    assert f"vfioctl recover --discard {UUID}" in shown.err


@pytest.mark.parametrize("name", ["win11", UUID])
def test_abort_ends_a_hook_that_still_makes_its_plan(run, paths, name, root) -> None:
    os.unlink(paths.boot_journal(UUID))
    os.unlink(paths.disk_journal(UUID))
    (root / "etc/vfioctl/guests").mkdir(parents=True)
    (root / "etc/vfioctl/guests/win11.toml").touch()
    with working(paths, ENGINE, "hook", "win11", "prepare", "begin", "-") as engine:
        engine.send_signal(signal.SIGSTOP)
        assert run("recover", name, "--abort").status == 0
        assert engine.wait(5) == 0


def test_a_process_that_has_the_pid_by_now_gets_no_signal(paths, engine) -> None:
    """The pid that stands in the lock belongs to somebody else: it holds no lock, or began later."""
    found = worker.of(paths, UUID)
    assert found
    found.began += 1
    found.send(signal.SIGKILL)
    found.close()
    assert engine.poll() is None


def test_a_signal_goes_through_the_pid_where_the_kernel_has_no_pidfd(paths, engine, monkeypatch) -> None:
    monkeypatch.setattr(os, "pidfd_open", lambda _: (_ for _ in ()).throw(OSError(38, "not implemented")))
    found = worker.of(paths, UUID)
    assert found
    assert (found.fd, found.end(5)) == (-1, "stopped")


def test_rescue_says_who_has_stopped_the_hand_off_and_runs_nothing(run, paths, engine) -> None:
    marks = Path(paths.guest_markers("win11"))
    marks.mkdir(parents=True)
    (marks / "uuid").write_text(UUID)
    (marks / "undo.sh").write_text("touch /nowhere/at/all\n")
    engine.send_signal(signal.SIGSTOP)
    shown = run("rescue", "--yes", "--guest", "win11")
    assert (shown.status, "[lock.busy]" in shown.err) == (3, True)
    assert "vfioctl recover --abort win11" in shown.err


READER = ENGINE.replace("signal.pause()", "open(sys.argv[3]).read()")


def test_abort_does_not_wait_for_ever_for_a_process_in_the_kernel(tmp_path) -> None:
    """It reads a file whose file system has taken the request and does not answer: no signal ends that."""
    with stage(BY_NAME["generic"], tmp_path) as on:
        paths, path = on.host.paths, on.host.paths.pci(GPU, "driver_override")
        boot = Path(paths.proc, "sys/kernel/random/boot_id").read_text().strip()
        with Journal(paths, UUID) as journal:
            journal.begin(replace(plan(), limits=SHORT), boot)
        on.host.kernel.hang_read(f"/sys/bus/pci/devices/{GPU}/driver_override", count=-1)
        with working(paths, READER, path) as engine:
            assert until(on.host.kernel.blocked, 5)
            ended = on.command("recover", UUID, "--abort")
            assert stat_fields(Paths("/"), engine.pid)[STATE] == "D"
            assert (ended.returncode, "[recover.deadline]" in ended.stderr) == (1, True)
            assert engine.poll() is None
            on.host.kernel.release()
            assert engine.wait(5) == -signal.SIGKILL
        assert on.command("recover").returncode == 0
        assert read_both(paths, UUID) is None


def test_content_that_no_journal_names_is_swept_away(run, paths) -> None:
    kept, orphan = (blobs.store(paths, b"x").name for _ in range(2))
    os.utime(os.path.join(paths.blobs, orphan), (0, 0))
    assert run("recover").status == 0
    assert os.listdir(paths.blobs) == [kept]
