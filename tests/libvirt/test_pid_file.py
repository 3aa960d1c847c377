"""The pid file of a real libvirtd: when it is there, what it says, who has it locked. vfioctl's facts rest on it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vfioctl.host import guests, pid_files
from vfioctl.paths import Paths
from vfioctl.testing import scenarios
from vfioctl.wait import until

LOOK = """\
printf '%s %s\n' "$2" "$(cat /run/libvirt/qemu/"$1".pid 2>/dev/null)" >>"{log}"
"""
DEADLINE = 30.0
OPERATIONS = ["prepare", "start", "started", "reconnect", "stopped", "release"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What becomes the daemon's /run/libvirt, below a root of ours that shows the machine's /proc."""
    place = tmp_path / "root/run/libvirt"
    place.mkdir(parents=True)
    (tmp_path / "root/proc").symlink_to("/proc")
    return place


@pytest.fixture
def paths(run: Path) -> Paths:
    return Paths(str(run.parents[1]))


@pytest.fixture
def lab(make_lab: Callable[..., Any], run: Path, tmp_path: Path) -> Any:
    lab = make_lab(run=run)
    lab.hook("50-look", LOOK.format(log=tmp_path / "seen"))
    lab.start()
    return lab


def written_by(lab: Any, run: Path, name: str) -> tuple[str, int]:
    """A guest that runs: its UUID, and what its pid file says."""
    uuid = lab.define(name)
    lab.virsh("start", "--domain", name)
    return uuid, int((run / f"qemu/{name}.pid").read_text())


def proved_by_lock(paths: Paths, run: Path, name: str) -> int | None:
    """What the file proves whatever the clock says: an old one is believed for its lock alone."""
    os.utime(run / f"qemu/{name}.pid", (1, 1))
    return pid_files.process(paths, name)


@pytest.mark.parametrize("name", ["win11", "my guest", "a,b", "-h", "guest=x", "ゲスト"])
def test_the_process_that_the_pid_file_names_is_qemu_and_has_it_locked(lab: Any, run: Path, paths: Paths, name: str):
    uuid, pid = written_by(lab, run, name)
    assert [pid] == lab.qemu_pids()
    assert proved_by_lock(paths, run, name) == pid
    assert guests.running(paths) == {name: pid}
    assert guests.qemu_of(paths, uuid, name) == guests.qemu_of(paths, uuid) == pid
    assert guests.qemu_of(paths, "11111111-2222-3333-4444-555555555555", name) is None


def test_it_is_there_from_started_until_stopped(lab: Any, run: Path, tmp_path: Path):
    _, pid = written_by(lab, run, "win11")
    lab.restart()
    # `destroy` kills QEMU before it waits for the reconnect (qemuProcessBeginStopJob), and QEMU takes its file along.
    assert until(lambda: "reconnect" in (tmp_path / "seen").read_text(), DEADLINE)
    lab.virsh("destroy", "--domain", "win11")
    seen = [line.split() for line in (tmp_path / "seen").read_text().splitlines() if line]
    named = dict.fromkeys(OPERATIONS, "") | {line[0]: "".join(line[1:]) for line in seen}
    assert named == {"prepare": "", "start": "", "started": str(pid), "reconnect": str(pid), "stopped": str(pid),
                     "release": ""}  # fmt: skip


def test_a_restarted_daemon_leaves_it_locked(lab: Any, run: Path, paths: Paths):
    _, pid = written_by(lab, run, "win11")
    lab.restart()
    assert proved_by_lock(paths, run, "win11") == pid


def test_a_killed_daemon_leaves_it_behind_and_it_proves_nothing_once_qemu_has_ended(lab: Any, run: Path, paths: Paths):
    _, pid = written_by(lab, run, "win11")
    lab.sigkill()
    assert proved_by_lock(paths, run, "win11") == pid
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: pid_files.process(paths, "win11") is None, DEADLINE)
    assert (run / "qemu/win11.pid").read_text() == str(pid)


def test_a_left_over_one_with_the_number_of_another_process_proves_nothing(lab: Any, run: Path, paths: Paths):
    _, pid = written_by(lab, run, "win11")
    lab.sigkill(guests=True)
    file = run / "qemu/win11.pid"
    assert until(lambda: not os.path.exists(f"/proc/{pid}"), DEADLINE)
    written = file.stat().st_mtime
    child = os.fork()  # has its number, as far as the file can tell
    if child == 0:
        signal.pause()
    file.write_text(str(child))
    os.utime(file, (written - 60, written - 60))
    try:
        assert pid_files.process(paths, "win11") is None
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_the_daemons_own_pid_file_is_no_guests(lab: Any, run: Path, paths: Paths):
    assert (run / "qemu/driver.pid").exists()
    assert pid_files.process(paths, "driver") is None
    assert guests.running(paths) == {}


def test_status_and_recover_know_the_guest_by_it(make_house: Callable[..., Any]):
    house = make_house(scenarios.generic_nic())
    house.guest("win11")
    house.run("win11")
    pid = int(Path(house.host.paths.at("run/libvirt/qemu/win11.pid")).read_text())
    assert f'"qemu": {pid}' in house.cli("status", "--format", "json").stdout
    assert "is running with its devices" in house.cli("recover").stdout
    house.lab.sigkill()
    assert "is running with its devices" in house.cli("recover").stdout
