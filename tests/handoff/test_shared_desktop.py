"""A desktop on two cards, a guest for each: the display manager comes back once, and takes both cards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from txn_builders import step

from vfioctl.testing import scenarios
from vfioctl.testing.crash import crash_at, pause_at, paused
from vfioctl.testing.domains import domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.txn import history
from vfioctl.txn.journal import open_uuids
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Undo
from vfioctl.wait import until

SETTINGS = 'session = "end"\n[display-manager]\nstart_again = false\n'
MANAGER = "lightdm.service"
CARDS = {"game": ("0000:01:00.0", "0000:01:00.1"), "work": ("0000:00:02.0",)}
UUIDS = {"game": "5f0e1d2c-3b4a-4958-8776-000000000001", "work": "5f0e1d2c-3b4a-4958-8776-000000000002"}
NODES = ("/dev/dri/card0", "/dev/dri/card1")
DRAWN = "display-manager.drawn"


class Desk:
    """The machine, with both guests running: the first one has stopped the display manager."""

    def __init__(self, host: FakeHost) -> None:
        self.host, self.libvirt = host, FakeLibvirt(host)
        self.libvirt.install()
        for name, cards in CARDS.items():
            self.libvirt.manage(name, SETTINGS)
            started = self.libvirt.start(name, UUIDS[name], self.xml(name), addresses=cards)
            assert started.status == 0, started.stderr

    def xml(self, name: str) -> bytes:
        return domain(name, uuid=UUIDS[name], hostdevs=CARDS[name]).encode()

    def release(self, name: str) -> subprocess.Popen[bytes]:
        """The guest ends, and its `release` is on its way."""
        self.libvirt.end(name)
        process = self.libvirt.popen(name, "release", "end")
        assert process.stdin
        process.stdin.write(self.xml(name))
        process.stdin.close()
        process.stdin = None
        return process

    def is_home(self, name: str) -> bool:
        return until(lambda: UUIDS[name] not in open_uuids(self.host.paths), 30)

    def manager_runs(self) -> bool:
        return bool(self.host.kernel.units()[f"system/{MANAGER}"]["active"] == "active")

    def drawn_on(self) -> set[str]:
        """The cards' nodes that the X server has open."""
        return {path for one in self.host.kernel.processes() if one["comm"] == "Xorg" for path in one["files"]}


def ended(process: subprocess.Popen[bytes]) -> int:
    """Its exit status, once libvirt need not wait any more."""
    process.communicate(timeout=30)
    return process.returncode


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with FakeHost(scenarios.two_screens(logged_in=False), tmp_path) as host:
        yield Desk(host)


def test_the_display_manager_starts_after_the_last_card_that_comes_home_at_that_moment(desk: Desk) -> None:
    pause_at(desk.host.root, 1)
    late = desk.release("work")
    assert until(lambda: paused(desk.host.root) is not None, 30)
    pid = paused(desk.host.root)
    assert pid
    crash_at(desk.host.root, None)
    assert ended(desk.release("game")) == 0
    assert not until(desk.manager_runs, 1.5)
    os.kill(pid, signal.SIGCONT)
    assert ended(late) == 0
    assert desk.is_home("game")
    assert desk.is_home("work")
    assert set(NODES) <= desk.drawn_on()


def test_a_return_that_nobody_works_on_keeps_no_desktop_waiting(desk: Desk) -> None:
    crash_at(desk.host.root, 1)
    desk.host.programs.run((*desk.host.argv, "hook", "work", "release", "end", "-"), deadline=30, stdin="")
    crash_at(desk.host.root, None)
    desk.libvirt.end("work")
    began = time.monotonic()
    assert ended(desk.release("game")) == 0
    assert desk.is_home("game")
    assert desk.manager_runs()
    assert time.monotonic() - began < 8


def test_a_guest_whose_display_manager_another_one_keeps_stopped_does_not_wait_for_it(desk: Desk) -> None:
    """As if the second guest had found it running."""
    ledger = Ledger(desk.host.paths)
    stopped = ledger.entry("unit.stop", f"unit:{MANAGER}")
    assert stopped

    held = step("stop", kind="unit.stop", params=dict(stopped.wish), resource=stopped.resource,
                baseline=dict(stopped.baseline), undo=Undo.RECREATED)  # fmt: skip
    ledger.join(held, UUIDS["work"], "work")
    began = time.monotonic()
    assert ended(desk.release("game")) == 0
    assert desk.is_home("game")
    assert time.monotonic() - began < 8
    assert not desk.manager_runs()
    last = json.loads(Path(desk.host.paths.last("game")).read_text())
    record = history.read(desk.host.paths, last["hand_off"])
    assert {one.id: one.outcome for one in record.steps}[DRAWN] == "still needed by work"
