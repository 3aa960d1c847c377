"""The directory of the records of a guest: there while somebody needs it, gone when it is empty."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from vfioctl_snapshot.commands.work import directory

from vfioctl.paths import Paths

UUID = "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11"


@pytest.fixture
def call(tmp_path):
    return SimpleNamespace(paths=Paths(str(tmp_path)))


@pytest.fixture
def place(tmp_path):
    return tmp_path / "var/lib/vfioctl/snapshots" / UUID


def test_an_empty_one_goes_and_one_with_records_stays(call, place):
    with directory(call, UUID):
        assert place.stat().st_mode & 0o777 == 0o700
    assert not place.exists()
    with directory(call, UUID):
        (place / "clean.json").write_text("{}")
    assert [path.name for path in place.iterdir()] == ["clean.json"]


@pytest.mark.parametrize("first", ["one", "other"])
def test_the_last_of_two_who_need_it_removes_it(call, place, first):
    one, other = directory(call, UUID), directory(call, UUID)
    one.__enter__()
    other.__enter__()
    order = (one, other) if first == "one" else (other, one)
    order[0].__exit__(None, None, None)
    assert place.is_dir(), "the other is about to write to it"
    order[1].__exit__(None, None, None)
    assert not place.exists()


def test_who_comes_as_it_is_removed_makes_it_again(call, place, monkeypatch):
    real, removed = os.open, []

    def late(path, *more, **words):
        if path == str(place) and not removed:
            removed.append(os.rmdir(path))
        return real(path, *more, **words)

    monkeypatch.setattr(os, "open", late)
    with directory(call, UUID):
        assert place.is_dir()
    assert len(removed) == 1


def test_it_stays_when_the_command_is_interrupted(call, place):
    """What was begun may go on in a process of its own."""
    with pytest.raises(KeyboardInterrupt), directory(call, UUID):
        raise KeyboardInterrupt
    assert place.is_dir()
