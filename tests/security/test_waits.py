"""Another user can keep no command, hook or background part waiting: neither with memory nor with a file of theirs.

The processes and their FUSE mounts are real, and so is the /proc that the simulated host shows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hand_offs import GPU, GUEST, Stage
from locked_memory import locked, running_as, unanswered

from vfioctl.handoff import markers
from vfioctl.host import guests
from vfioctl.kinds.common import driver_of
from vfioctl.testing.domains import UUID
from vfioctl.wait import until

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a mount of another user needs root"),
    pytest.mark.usefixtures("alone"),
]
TRAPS = {"memory": locked, "file": unanswered}
QEMUS = ("-name", f"guest={GUEST},debug-threads=on", "-uuid", UUID)
ANSWERING = "import time; print('ready', flush=True); time.sleep(600)"
SECONDS = 30.0  # each command; the trap waits for ever


@pytest.fixture(params=TRAPS)
def trap(request: pytest.FixtureRequest, place: Path) -> Iterator[int]:
    """The process of another user, with the arguments of the guest's QEMU."""
    with TRAPS[request.param](place / "alices", arguments=QEMUS) as pid:
        yield pid


@pytest.fixture
def host(stage: Stage, trap: int) -> Stage:
    """The host shows this machine's processes, that one among them."""
    os.unlink(stage.host.paths.proc)
    os.symlink("/proc", stage.host.paths.proc)
    return stage


def vfioctl(on: Stage, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command, which ends in its time."""
    argv = [*on.host.argv, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=SECONDS, cwd="/")


def hook(on: Stage, operation: str) -> int:
    """One call of the hook, which ends in its time."""
    with on.libvirt.popen(GUEST, operation, "end" if operation in ("stopped", "release") else "begin") as process:
        try:
            process.communicate(on.xml, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return process.returncode


def give(on: Stage) -> None:
    """The guest has its card; QEMU has never come, and nobody waits for it."""
    assert hook(on, "prepare") == 0
    assert driver_of(on.host.paths, GPU) == "vfio-pci"
    markers.disarm(on.host.paths, GUEST)


def is_home(on: Stage) -> bool:
    return driver_of(on.host.paths, GPU) == "igb" and not os.path.exists(on.host.paths.boot_journal(UUID))


def test_a_start_and_its_end_do_not_wait(host: Stage):
    give(host)
    assert (hook(host, "started"), hook(host, "stopped"), hook(host, "release")) == (0, 0, 0)
    assert until(lambda: is_home(host), SECONDS)


def test_a_start_over_an_open_hand_off_does_not_wait(host: Stage):
    give(host)
    assert hook(host, "prepare") == 0
    assert driver_of(host.host.paths, GPU) == "vfio-pci"


@pytest.mark.parametrize(
    "command", ["status", "list", "plan win11", "gpu holders", "hook verify", "config validate", "history"]
)
def test_no_command_that_looks_waits(host: Stage, command: str):
    give(host)
    file = Path(host.host.paths.at("etc/libvirt/qemu/win11.xml"))
    file.parent.mkdir(parents=True)
    file.write_bytes(host.xml)
    ended = vfioctl(host, *command.split(), "--format", "json")
    assert json.loads(ended.stdout)["command"] == " ".join(command.removesuffix(" win11").split())


@pytest.mark.parametrize("arguments", [("recover",), ("recover", GUEST), ("recover", "--abort", GUEST)])
def test_recover_does_not_wait_and_brings_the_card_home(host: Stage, arguments: tuple[str, ...]):
    give(host)
    assert vfioctl(host, *arguments).returncode == 0
    assert is_home(host)


def test_reconnect_does_not_wait(host: Stage):
    give(host)
    assert hook(host, "reconnect") == 0
    assert until(lambda: is_home(host), SECONDS)


def test_rescue_does_not_wait_and_brings_the_card_home(host: Stage):
    give(host)
    assert vfioctl(host, "rescue", "--yes").returncode == 0
    assert driver_of(host.host.paths, GPU) == "igb"


def test_the_dead_man_does_not_wait(host: Stage):
    daemon = 'shim=$1; shift; "$shim" "$@" <"$0"; exit $?'
    xml = Path(host.root, "tmp/win11.xml")
    xml.write_bytes(host.xml)
    argv = ["sh", "-c", daemon, str(xml), host.host.paths.shim, GUEST, "prepare", "begin", "-"]
    assert subprocess.run(argv, stdout=subprocess.DEVNULL, check=False, timeout=SECONDS).returncode == 0
    assert until(lambda: is_home(host), 60)


@pytest.fixture
def real(stage: Stage) -> Stage:
    """The host shows this machine's processes, and has a place for pid files."""
    os.unlink(stage.host.paths.proc)
    os.symlink("/proc", stage.host.paths.proc)
    os.makedirs(stage.host.paths.at("run/libvirt/qemu"))
    return stage


def name(on: Stage, guest: str, pid: int) -> None:
    """As libvirt does."""
    Path(on.host.paths.at("run/libvirt/qemu", f"{guest}.pid")).write_text(str(pid))


def test_a_qemu_that_does_not_answer_is_known_by_its_name(real: Stage, place: Path):
    """Its user has locked its memory: the pid file is libvirt's all the same."""
    with locked(place / "roots", uid=0) as pid:
        name(real, GUEST, pid)
        began = time.monotonic()
        assert guests.qemu_of(real.host.paths, UUID, GUEST) == pid
        assert guests.qemu_of(real.host.paths, UUID) is None
        assert time.monotonic() - began < 10


def test_one_that_does_not_answer_hides_no_other(real: Stage, place: Path):
    words = ("-name", "guest=other,debug-threads=on", "-uuid", UUID)
    with (
        running_as(0, sys.executable, "-c", ANSWERING, *words, say=True) as answering,
        locked(place / "roots", uid=0) as silent,
    ):
        name(real, GUEST, silent)
        name(real, "other", answering.pid)
        assert guests.running(real.host.paths) == {GUEST: silent, "other": answering.pid}
