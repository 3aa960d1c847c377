"""A guest runs when libvirt says so: another user's process is no QEMU, whatever its arguments and files are called.

The processes are real, and so is the /proc that the simulated host shows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hand_offs import GPU, GUEST, Stage
from locked_memory import ALICE, running_as
from turns import in_turn

from vfioctl.handoff import markers
from vfioctl.kinds.common import driver_of
from vfioctl.testing.domains import UUID
from vfioctl.wait import until

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a process of another user needs root"),
    pytest.mark.usefixtures("alone"),
]
SLEEP = "import sys, time\nfile = open(sys.argv[1], 'w')\nprint('ready', flush=True)\ntime.sleep(600)"
NAMED = ("-name", f"guest={GUEST},debug-threads=on")
GROUP = "14"  # of the card
QEMU = "/usr/bin/qemu-system-x86_64"
DISGUISES = {
    "its UUID": ("-uuid", UUID), "all of its arguments": (QEMU, *NAMED, "-S", "-uuid", UUID),
    "a file called like its group": (), "both": (*NAMED, "-uuid", UUID),
}  # fmt: skip


# "both" is the other two in one.
@pytest.fixture(params=in_turn(DISGUISES, always=["all of its arguments", "both"]))
def alice(request: pytest.FixtureRequest, place: Path) -> Iterator[int]:
    """A process of another user, disguised as the QEMU of the guest."""
    directory = place / "alice" / ("dev/vfio" if "file" in request.param or request.param == "both" else "")
    directory.mkdir(parents=True)
    os.chown(directory, ALICE, ALICE)
    file = str(directory / GROUP)
    with running_as(ALICE, sys.executable, "-c", SLEEP, file, *DISGUISES[request.param], say=True) as process:
        yield process.pid


def show_real_processes(stage: Stage) -> None:
    """From now on the host shows this machine's processes."""
    os.unlink(stage.host.paths.proc)
    os.symlink("/proc", stage.host.paths.proc)


@pytest.fixture
def given(stage: Stage, alice: int) -> Stage:
    """A guest that has its card, and whose QEMU has never come; nobody waits for it any more."""
    show_real_processes(stage)
    assert stage.prepare().status == 0
    assert driver_of(stage.host.paths, GPU) == "vfio-pci"
    markers.disarm(stage.host.paths, GUEST)
    return stage


def is_home(stage: Stage) -> bool:
    return driver_of(stage.host.paths, GPU) == "igb" and not os.path.exists(stage.host.paths.boot_journal(UUID))


@pytest.mark.parametrize("arguments", [(), (GUEST,), ("--abort", GUEST)])
def test_recover_brings_the_card_home(given: Stage, arguments: tuple[str, ...]):
    ended = given.command("recover", *arguments)
    assert (ended.returncode, "everything is home" in ended.stdout) == (0, True), ended
    assert is_home(given)


def test_status_says_that_the_hand_off_is_unfinished(given: Stage):
    (hand_off,) = json.loads(given.command("status", "--format", "json").stdout)["data"]["hand_offs"]
    assert (hand_off["qemu"], hand_off["unfinished"]) == (None, True)
    assert "UNFINISHED" in given.command("status").stdout


def test_the_next_start_finds_nothing_in_its_way(given: Stage):
    assert given.prepare().status == 0
    assert given.libvirt.gone(GUEST, given.xml).status == 0
    assert until(lambda: is_home(given), 30)


def test_rescue_runs_the_undo_and_it_brings_the_card_home(given: Stage):
    ended = given.command("rescue", "--yes")
    assert (ended.returncode, driver_of(given.host.paths, GPU)) == (0, "igb"), ended
    assert "still open" not in ended.stdout


def test_a_release_brings_the_card_home(given: Stage):
    assert given.libvirt.gone(GUEST, given.xml).status == 0
    assert until(lambda: is_home(given), 30)


def test_a_guest_that_a_daemon_finds_running_is_not_taken_for_this_one(given: Stage):
    """Its pid file names another process: another guest of the name."""
    assert given.libvirt.call(GUEST, "reconnect", "begin", given.xml).status == 0
    assert until(lambda: is_home(given), 30)


def test_the_dead_man_brings_the_card_home_when_the_daemon_is_gone(stage: Stage, alice: int):
    show_real_processes(stage)
    daemon = 'shim=$1; shift; "$shim" "$@" <"$0"; exit $?'
    xml = Path(stage.root, "tmp/win11.xml")
    xml.write_bytes(stage.xml)
    argv = ["sh", "-c", daemon, str(xml), stage.host.paths.shim, GUEST, "prepare", "begin", "-"]
    assert subprocess.run(argv, stdout=subprocess.DEVNULL, check=False, timeout=60).returncode == 0
    assert driver_of(stage.host.paths, GPU) == "vfio-pci"
    assert until(lambda: is_home(stage), 60)


@contextmanager
def pid_file(stage: Stage, text: str) -> Iterator[Path]:
    """Left over from a daemon that was killed."""
    path = Path(stage.host.paths.at("run/libvirt/qemu", f"{GUEST}.pid"))
    path.parent.mkdir(parents=True)
    path.write_text(text)
    yield path


def test_a_left_over_pid_file_with_the_number_of_a_users_process_does_not_keep_the_card(given: Stage, alice: int):
    with pid_file(given, str(alice)):
        assert "everything is home" in given.command("recover").stdout
    assert is_home(given)


def test_nor_does_one_with_the_number_of_a_process_of_roots_that_has_no_device_open(given: Stage):
    with pid_file(given, str(os.getpid())):
        assert "everything is home" in given.command("recover").stdout
    assert is_home(given)
