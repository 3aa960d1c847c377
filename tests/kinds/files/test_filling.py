"""A file of this host into that of a volume: in a child, with its holes, and what goes wrong is said by its reason."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from pathlib import Path

import pytest
from holed_image import SIZE

from vfioctl.errors import StepFailed, Unanswered
from vfioctl.kinds.files import sparse
from vfioctl.kinds.libvirt.filling import filled
from vfioctl.txn.machine import Machine


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """What libvirt has made, which is no part of the image."""
    made = tmp_path / "volume"
    made.write_bytes(b"blank" * 100)
    return made


@pytest.mark.parametrize("judged", [False, True])
def test_it_is_the_image_and_nothing_of_what_was_there_stays(
    plain: Machine, image: int, volume: Path, *, judged: bool
) -> None:
    found = filled(plain, image, str(volume), SIZE, 60, judged=judged)
    content = os.pread(image, SIZE, 0)
    assert volume.read_bytes() == content
    assert volume.stat().st_blocks * 512 < SIZE
    assert found == (hashlib.sha256(content).hexdigest() if judged else "")


def test_how_far_it_is_is_told(plain: Machine, image: int, volume: Path) -> None:
    told: list[tuple[int, int]] = []
    watched = plain.watched(lambda done, total, _unit: told.append((done, total)), lambda: None)
    filled(watched, image, str(volume), SIZE, 60, judged=False)
    assert (told[0], told[-1]) == ((0, SIZE), (SIZE, SIZE))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_what_the_file_system_refuses_is_said_by_its_reason(
    plain: Machine, image: int, volume: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "")

    monkeypatch.setattr(sparse, "copy", refuse)
    with pytest.raises(StepFailed, match=os.strerror(number)) as caught:
        filled(plain, image, str(volume), SIZE, 60, judged=False)
    assert caught.value.code == ("file.write_failed" if number == errno.EIO else "disk.no_room")


def test_a_file_of_another_length_than_planned_is_said_so(plain: Machine, image: int, volume: Path) -> None:
    with pytest.raises(StepFailed) as caught:
        filled(plain, image, str(volume), SIZE + 1, 60, judged=False)
    assert caught.value.code == "volume.changed"


def test_one_that_is_to_stop_stops_though_its_drive_is_silent(
    plain: Machine, image: int, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        raise StepFailed("engine.interrupted", "It was asked to stop.")

    monkeypatch.setattr(sparse, "copy", lambda *_: time.sleep(60))
    with pytest.raises(StepFailed, match="asked to stop"):
        filled(plain.watched(lambda *_: None, stop), image, str(volume), SIZE, 60, judged=False)


def test_a_drive_that_stays_silent_is_not_waited_for(
    plain: Machine, image: int, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse, "copy", lambda *_: time.sleep(60))
    with pytest.raises(Unanswered):
        filled(plain, image, str(volume), SIZE, 0.5, judged=False)


def test_one_that_did_not_answer_just_now_is_not_written_to(plain: Machine, image: int, volume: Path) -> None:
    plain.reach.silence(str(volume))
    with pytest.raises(Unanswered):
        filled(plain, image, str(volume), SIZE, 60, judged=False)
    assert volume.read_bytes().startswith(b"blank")
