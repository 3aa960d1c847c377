"""`vfioctl snapshot revert` of a guest with a card, and the hook that starts that guest: both orders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from libvirt_machine import uri_of

from vfioctl.testing import scenarios
from vfioctl.testing.crash import crash_at, pause_at, paused
from vfioctl.wait import until

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
pytest.importorskip("vfioctl_snapshot")
GPU, NAME = "0000:01:00.0", "win11"
GIVEN, HOME = ["vfio-pci", "vfio-pci"], ("nvidia", "snd_hda_intel")
SECONDS = 60.0
# The daemon of the lab is that of the simulated host, whose root is not "/".
ENTRY = """
import sys
from vfioctl.actions import libvirt
from vfioctl.testing.entry import main
libvirt.OURS = sys.argv[2]
sys.exit(main(sys.argv[1:]))
"""
BLIND = 'preflight = "off"'  # it would look for the images below the root, and they name each other from "/"
DISK = """<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/srv/win11.qcow2'/>
<target dev='vda' bus='virtio'/></disk>"""


class Guest:
    """A guest with a card and a disk that was kept as `clean` and written to since; libvirt sees the host's /srv."""

    def __init__(self, house: Any) -> None:
        self.house, self.root = house, house.host.root
        os.makedirs(f"{self.root}/srv", 0o755, exist_ok=True)
        subprocess.run(house.lab.inside("mount", "--bind", f"{self.root}/srv", "/srv"), check=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", f"{self.root}/srv/win11.qcow2", "1M"], check=True)
        house.guest(NAME, GPU, xml=DISK, more=BLIND)
        done = self.snapshot("create", NAME, "clean")
        assert done.returncode == 0, done.stdout + done.stderr
        self.fill(self.source, 7)

    def fill(self, path: str, pattern: int) -> None:
        argv = ["qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} 0 64k", f"{self.root}{path}"]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)

    @property
    def source(self) -> str:
        """What the guest would write to."""
        lines = self.house.lab.virsh("domblklist", "--inactive", NAME).stdout.splitlines()
        return next(line.split()[1] for line in lines if line.split()[:1] == ["vda"])

    def snapshot(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.argv(*argv), capture_output=True, text=True, check=False, timeout=SECONDS, cwd="/")

    def argv(self, *argv: str) -> list[str]:
        command = [sys.executable, "-I", "-c", ENTRY, "--root", self.root]
        return [*command, "snapshot", *argv, "--node", uri_of(self.house.lab)]

    @contextmanager
    def standing_still(self, number: int, argv: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        """A process that stops at boundary `number`, until the end of the block."""
        pause_at(self.root, number)
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            assert until(lambda: bool(paused(self.root)), SECONDS / 4)
            yield process
        finally:
            if pid := paused(self.root):
                os.kill(pid, signal.SIGCONT)
            assert process.wait(SECONDS) == 0


@pytest.fixture
def guest(make_house: Callable[..., Any]) -> Guest:
    return Guest(make_house(replace(scenarios.two_gpu(logged_in=False), systemd=False)))


def test_a_revert_while_the_hook_starts_the_guest_is_refused_and_changes_nothing(guest: Guest) -> None:
    present, before = guest.source, sorted(os.listdir(f"{guest.root}/srv"))
    start = guest.house.lab.inside("virsh", "--connect", "qemu:///system", "start", "--domain", NAME)
    with guest.standing_still(2, start):
        ended = guest.snapshot("revert", NAME, "clean")
        assert ended.returncode != 0
        assert "[libvirt.busy]" in ended.stderr
        assert "--xml" not in ended.stderr, "no verb of snapshot has it"
    assert "[snapshot.running]" in guest.snapshot("revert", NAME, "clean").stderr
    assert (guest.source, sorted(os.listdir(f"{guest.root}/srv"))) == (present, before)
    assert guest.house.drivers() == GIVEN
    guest.house.stop(NAME)
    assert guest.house.comes_home(*HOME), guest.house.log()


def test_a_start_during_a_revert_is_refused_by_its_name_and_comes_up_on_the_snapshot_after_it(guest: Guest) -> None:
    former = guest.source
    with guest.standing_still(3, guest.argv("revert", NAME, "clean")):
        refused = guest.house.start(NAME)
        assert f"{NAME} was not started: snapshot revert guest:{NAME} works on it" in refused.stderr
        assert (guest.house.lab.state(NAME), guest.house.drivers()) == ("shut off", list(HOME))
    assert guest.source not in (former, "/srv/win11.qcow2")
    guest.house.run(NAME)
    assert guest.house.drivers() == GIVEN
    guest.house.stop(NAME)
    assert guest.house.comes_home(*HOME), guest.house.log()


def test_a_start_after_a_revert_that_was_killed_is_refused_until_that_is_recovered(guest: Guest) -> None:
    present, before = guest.source, sorted(os.listdir(f"{guest.root}/srv"))
    crash_at(guest.root, 5)
    assert guest.snapshot("revert", NAME, "clean").returncode == -signal.SIGKILL
    crash_at(guest.root, None)
    assert f"snapshot revert guest:{NAME} works on it" in guest.house.start(NAME).stderr
    assert guest.house.drivers() == list(HOME)
    assert guest.house.cli("recover").returncode == 0
    assert (guest.source, sorted(os.listdir(f"{guest.root}/srv"))) == (present, before)
    guest.house.run(NAME)
    guest.house.stop(NAME)
    assert guest.house.comes_home(*HOME), guest.house.log()
