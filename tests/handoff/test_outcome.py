"""The last outcome of each guest: replaced, never too long a name, and none where its file is damaged."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfioctl.handoff.outcome import Last, read_last, write_last
from vfioctl.paths import Paths

STARTED = 1795256130.25


@pytest.fixture
def paths(tmp_path) -> Paths:
    return Paths(str(tmp_path))


def test_the_last_outcome_of_a_guest_is_replaced(paths):
    first = Last("my vm", "u", "prepare", ok=False, when=STARTED, message="m", code="c", state="s", hints=("h",))
    write_last(paths, first)
    assert read_last(paths, "my vm") == first
    write_last(paths, replace(first, ok=True))
    assert read_last(paths, "my vm") == replace(first, ok=True)


@pytest.mark.parametrize("guest", ["a" * 250, "窓" * 83])
def test_the_longest_name_of_a_guest_fits(paths, guest):
    write_last(paths, Last(guest, "u", "prepare", ok=True, when=STARTED))
    found = read_last(paths, guest)
    assert found is not None
    assert found.guest == guest


@given(st.text(max_size=40))
def test_a_damaged_last_outcome_is_none(tmp_path_factory, text):
    paths = Paths(str(tmp_path_factory.getbasetemp()))
    os.makedirs(os.path.dirname(paths.last("vm")), exist_ok=True)
    with open(paths.last("vm"), "w", encoding="utf-8") as stream:
        stream.write(text)
    assert read_last(paths, "vm") is None
