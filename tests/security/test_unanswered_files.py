"""A file is to be made on a share whose server is gone: no step waits for it longer than its own time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from downloads import Served, serving
from fetches import PART
from silent import needs_fuse, silent
from step_builders import plain_machine, planned

from vfioctl.errors import Refused, StepFailed
from vfioctl.kinds.files import web
from vfioctl.txn import blobs
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine, unwatched
from vfioctl.txn.step import State, Step, StepProposal

pytestmark = [needs_fuse, pytest.mark.usefixtures("alone")]
SHARE = "/mnt/share"
SECONDS = 2.0  # of the step, 3 of a look without one
KINDS = ("file.write", "file.fetch")
needs_loop = pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="needs loop devices")


@pytest.fixture
def machine(place: Path) -> Machine:
    made = plain_machine(str(place))
    os.makedirs(made.paths.at(SHARE))
    return made


def step(machine: Machine, name: str) -> Step:
    """Planned while the share answered."""
    where = {"path": f"{SHARE}/file"}
    if name == "file.fetch":
        return planned(machine, name, {**where, "url": "https://127.0.0.1:1/file"}, deadline=SECONDS)
    blob = blobs.store(machine.paths, b"content")
    return planned(machine, name, {**where, "blob": blob.name, "size": blob.size}, deadline=SECONDS)


@contextmanager
def refused_in_time() -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(Refused) as caught:
        yield
    assert caught.value.code == "path.unanswered"
    assert SHARE in caught.value.message
    assert time.monotonic() - began < SECONDS + 5


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("action", ["guard", "probe", "undo"])
def test_a_step_on_a_share_that_is_silent_ends_in_its_time(machine: Machine, name: str, action: str) -> None:
    one = step(machine, name)
    with silent(machine.paths.at(SHARE)), refused_in_time():
        getattr(kind(name), action)(one, machine)


@pytest.mark.parametrize("name", KINDS)
def test_a_plan_for_a_share_that_is_silent_is_refused(machine: Machine, name: str) -> None:
    one = step(machine, name)
    proposal = StepProposal("x", name, one.params, "a test")
    with silent(machine.paths.at(SHARE)), refused_in_time():
        list(kind(name).check(proposal, machine.host()))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "STALL", 1.0)


@pytest.mark.usefixtures("impatient")
def test_a_download_to_a_share_that_is_silent_is_given_up(machine: Machine) -> None:
    one = step(machine, "file.fetch")
    with silent(machine.paths.at(SHARE)), refused_in_time():
        kind("file.fetch").apply(one, machine)


def test_a_copy_on_a_share_that_falls_silent_stops_when_it_is_told_to_and_its_undo_waits_for_nothing(
    machine: Machine,
) -> None:
    where = {"source": f"{SHARE}/film", "dest": f"{SHARE}/film.before"}
    one = planned(machine, "file.copy", where, deadline=60.0)

    def check() -> None:
        raise StepFailed("engine.interrupted", "It was asked to stop.")

    with silent(machine.paths.at(SHARE)):
        with pytest.raises(StepFailed, match="asked to stop"):
            kind("file.copy").apply(one, machine.watched(unwatched, check))
        with refused_in_time():
            kind("file.copy").undo(one, machine)


class Drive:
    """A file system on a loop device; one that is frozen keeps each writer in the kernel (fsfreeze(8))."""

    def __init__(self, image: Path, place: str) -> None:
        self.place = place
        self.is_frozen = False
        image.touch()
        os.truncate(image, 16 << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, place], check=True)

    def freeze(self, word: str = "--freeze") -> None:
        subprocess.run(["fsfreeze", word, self.place], check=True)
        self.is_frozen = word == "--freeze"

    def end(self) -> None:
        if self.is_frozen:
            self.freeze("--unfreeze")
        subprocess.run(["umount", "--lazy", self.place], check=True)


@pytest.fixture
def drive(machine: Machine, tmp_path: Path) -> Iterator[Drive]:
    made = Drive(tmp_path / "image", machine.paths.at(SHARE))
    yield made
    made.end()


@pytest.fixture
def server() -> Iterator[Served]:
    with serving() as served:
        yield served


@needs_loop
@pytest.mark.usefixtures("impatient")
def test_a_download_to_a_drive_that_dies_meanwhile_is_given_up_and_undone_later(
    machine: Machine, drive: Drive, server: Served
) -> None:
    one = planned(machine, "file.fetch", {"url": server.url, "path": f"{SHARE}/image.qcow2", "sha256": server.sha256})
    server.half_way()

    def check() -> None:
        if server.reached.is_set() and not server.pause.is_set():
            drive.freeze()
            server.pause.set()

    form = kind("file.fetch")
    with refused_in_time():
        form.apply(one, machine.watched(lambda *_: None, check))
    with refused_in_time():
        form.undo(one, machine)
    drive.freeze("--unfreeze")
    machine.programs.silent.clear()
    assert set(os.listdir(drive.place)) == {"lost+found", PART}
    assert form.probe(one, machine) is State.BETWEEN
    form.undo(one, machine)
    assert os.listdir(drive.place) == ["lost+found"]
