"""`vfioctl guest create --gpu` with trouble at every boundary: all of ours goes, or is finished; nothing else does.

One operation makes two volumes, a domain, its guest file and the identity of its card.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from snapshot_lab import IMAGES

from vfioctl.testing import scenarios
from vfioctl.testing.crash import boundaries, crash_at, pause_at, paused
from vfioctl.wait import until

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
pytest.importorskip("vfioctl_guest")
pytest.importorskip("pycdlib")

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(300)]
NAME, GPU = "win11", "0000:01:00.0"
CREATE = (
    "guest", "create", NAME, "--memory", "64M", "--disk", "8M", "--pool", "fast", "--hostname", NAME, "--autostart",
    "--gpu", GPU,
)  # fmt: skip
STEPS = 8  # two volumes and what is in the seed, the domain, its autostart, three files
BOUNDARIES = range(1, 2 * STEPS + 1)  # two a step
DEADLINE = 60


class Creating:
    """A host on which a guest with a card is made; `house` is the host, with the pool `fast`."""

    def __init__(self, house: Any) -> None:
        self.house, self.lab, self.root = house, house.lab, house.host.root
        place = Path(house.host.paths.at(IMAGES))
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(self.lab.inside("mount", "--bind", str(place), IMAGES), check=True)
        self.pool = place / "fast"
        self.pool.mkdir()
        self.lab.virsh("pool-define-as", "fast", "dir", "--target", f"{IMAGES}/fast")
        self.lab.virsh("pool-start", "fast")
        self.said = self.lab.work / "said"

    def everything(self) -> list[str]:
        """What libvirt lists, with UUIDs, and every file of its and of ours but logs and the history."""
        listed = str(self.lab.virsh("list", "--all", "--uuid").stdout).split()
        paths = self.house.host.paths
        ours = (paths.guest_configs, *map(os.path.dirname, (paths.identity("x"), paths.before_enable("x"))))
        places = (self.pool, Path(self.lab.etc, "qemu"), *map(Path, ours), Path(paths.at("var/lib/vfioctl/blobs")))
        files = (file for place in places for file in place.rglob("*") if not file.is_dir())
        return sorted([*listed, *(f"{file} {file.lstat().st_size}" for file in files)])

    def create(self) -> subprocess.CompletedProcess[str]:
        ended: subprocess.CompletedProcess[str] = self.house.own(*CREATE)
        return ended

    def killed(self, number: int) -> None:
        crash_at(self.root, number)
        ended = self.create()
        crash_at(self.root, None)
        assert ended.returncode == -signal.SIGKILL, ended.stdout + ended.stderr

    @contextmanager
    def standing_still(self, number: int) -> Iterator[subprocess.Popen[str]]:
        """It stops at its boundary `number`; it goes on, and has ended, afterwards."""
        pause_at(self.root, number)
        with self.said.open("w") as said:
            process = subprocess.Popen(self.house.own_argv(*CREATE), stdout=said, stderr=said, text=True, cwd="/")
        assert until(lambda: bool(paused(self.root)), DEADLINE), self.said.read_text()
        pid = paused(self.root)
        assert pid
        yield process
        crash_at(self.root, None)
        os.kill(pid, signal.SIGCONT)
        process.wait(DEADLINE)

    def restart(self) -> None:
        """A power cut: another boot, an empty /run/vfioctl, another daemon."""
        self.lab.sigkill()
        self.house.host.kernel.boot(None)
        shutil.rmtree(self.house.host.paths.at("run/vfioctl"))
        self.lab.start()

    def recover(self) -> None:
        ended = self.house.own("recover")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert self.house.is_over()

    @property
    def planned(self) -> str:
        """The UUID that the guest is to have, as the open journal has it."""
        (journal,) = Path(self.house.host.paths.disk_journal("x")).parent.glob("*.jsonl")
        steps = json.loads(journal.read_text().splitlines()[0])["plan"]["steps"]
        return str(next(step["params"]["uuid"] for step in steps if step["kind"] == "domain.define"))


@pytest.fixture
def on(make_house: Callable[..., Any]) -> Creating:
    return Creating(make_house(replace(scenarios.two_gpu(logged_in=False), systemd=False)))


def test_so_many_boundaries_are_there(on: Creating) -> None:
    crash_at(on.root, None)
    assert on.create().returncode == 0
    assert len(boundaries(on.root)) == BOUNDARIES[-1], boundaries(on.root)


@pytest.mark.parametrize("number", BOUNDARIES)
@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a restart"])
def test_killed_at_a_boundary_all_of_it_goes(on: Creating, number: int, *, restarted: bool) -> None:
    before = on.everything()
    on.killed(number)
    if restarted:
        on.restart()
    on.recover()
    assert on.everything() == before
    assert on.create().returncode == 0


@pytest.mark.parametrize("number", BOUNDARIES)
def test_a_daemon_that_is_killed_leaves_all_or_nothing(on: Creating, number: int) -> None:
    before = on.everything()
    with on.standing_still(number) as process:
        on.lab.sigkill()
    on.lab.start()
    on.recover()
    assert (process.returncode == 0) == (NAME in on.lab.virsh("list", "--all", "--name").stdout.split())
    if process.returncode:
        assert on.everything() == before


def a_guest(on: Creating) -> None:
    on.lab.define(NAME)


def a_volume(on: Creating) -> None:
    on.lab.virsh("vol-create-as", "fast", f"{NAME}.qcow2", "1M", "--format", "qcow2")


def a_guest_file(on: Creating) -> None:
    Path(on.house.host.paths.guest_config(NAME)).write_text("session = 'end'  # mine\n")


def an_identity(on: Creating) -> None:
    place = Path(on.house.host.paths.identity(on.planned))
    place.parent.mkdir(exist_ok=True)
    place.write_text("{}")


@pytest.mark.parametrize("theirs", [a_guest, a_volume, a_guest_file, an_identity])
@pytest.mark.parametrize("killed", [False, True], ids=["refused", "killed"])
def test_what_has_the_name_meanwhile_stays_alone(
    on: Creating, theirs: Callable[[Creating], None], *, killed: bool
) -> None:
    first = on.everything()
    with on.standing_still(1) as process:
        held = set(on.everything())
        theirs(on)
        new = set(on.everything()) - held
        if killed:
            os.kill(paused(on.root) or 0, signal.SIGKILL)
    if killed:
        on.recover()
    assert process.returncode not in (0, 4)
    assert new
    assert on.everything() == sorted([*first, *new])
