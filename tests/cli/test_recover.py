"""`recover --abort` stops a hand-off that runs in another process; without it a running one is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from txn_builders import UUID, plan

from vfioctl.cli.facts import running
from vfioctl.paths import Paths
from vfioctl.txn.journal import Journal, read_both

ENGINE = """
import signal, sys
from vfioctl.paths import Paths
from vfioctl.txn.resources import guest_lock
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
