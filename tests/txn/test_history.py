"""History: durable, sorted, bounded, and tolerant of files that are torn."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from vfioctl.errors import Stuck, VfioctlError
from vfioctl.frozen import replace
from vfioctl.paths import Paths
from vfioctl.txn import history
from vfioctl.txn.history import Run, StepTime

STARTED = 1795256130.25  # 2026-11-21T10:15:30Z
STEPS = (StepTime("bind", "driver.bind", "give", 0.01, 0.5, "done"),)


@pytest.fixture
def paths(tmp_path) -> Paths:
    return Paths(str(tmp_path))


def hand_off(paths: Paths, started: float = STARTED, guest: str = "win11") -> Run:
    name = history.new_id(paths, guest, started)
    return Run(name, guest, "u-u-i-d", "prepare", started, 1.5, ok=True, message="fine", steps=STEPS)


def rewritten(paths: Paths, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Run:
    """One that is on record; its file says what `change` makes of it."""
    kept = hand_off(paths)
    history.record(paths, kept)
    file = os.path.join(paths.history, f"{kept.id}.json")
    with open(file) as stream:
        value = json.load(stream)
    with open(file, "w") as stream:
        json.dump(change(value), stream)
    return kept


def test_a_record_comes_back_as_it_was(paths):
    kept = hand_off(paths)
    history.record(paths, kept)
    assert history.read(paths, kept.id) == kept


def test_how_a_failed_one_ended_is_on_record(paths):
    error = Stuck("device.stuck", "It hangs.", state="It stays.", hints=("See: vfioctl status",))
    history.keep_run(paths, (), subject="shelf:top", key="u", event="shelf fill", message="It hangs.", error=error)
    kept = history.find(paths, "u")
    assert (kept.ok, kept.code, kept.message) == (False, "device.stuck", "It hangs.")
    assert (kept.state, kept.hints, kept.exit_status) == ("It stays.", ("See: vfioctl status",), 4)


def test_a_record_of_an_older_version_says_less(paths):
    new = ("state", "hints", "exit_status")
    kept = rewritten(paths, lambda known: {name: value for name, value in known.items() if name not in new})
    assert history.read(paths, kept.id) == kept


@pytest.mark.parametrize(
    "wrong", [{"hints": "x"}, {"hints": [1]}, {"exit_status": "1"}, {"exit_status": True}, {"state": 1}]
)
def test_a_record_whose_end_is_of_another_type_is_damaged(paths, wrong):
    kept = rewritten(paths, lambda known: {**known, **wrong})
    assert history.read_all(paths).damaged == (f"{kept.id}.json",)


def test_ids_say_when_and_who_and_are_never_used_twice(paths):
    names = []
    for _ in range(3):
        kept = hand_off(paths, guest="Größe/../My VM!")
        history.record(paths, kept)
        names.append(kept.id)
    assert names == ["20261121T101530-gremyvm", "20261121T101530-gremyvm-2", "20261121T101530-gremyvm-3"]
    assert history.new_id(paths, "窓", STARTED) == "20261121T101530-unnamed"


def test_an_id_of_another_operation_names_what_it_is_about(paths):
    assert history.new_id(paths, "guest:win11", STARTED, "snapshot create") == "20261121T101530-win11+snapshot"


def test_all_records_come_newest_first(paths):
    for offset in (0, 86400, 3600):
        history.record(paths, hand_off(paths, STARTED + offset))
    times = [kept.started - STARTED for kept in history.read_all(paths).runs]
    assert times == [86400, 3600, 0]


def test_records_of_one_second_come_newest_first_whatever_their_guests_are_called(paths):
    for offset, guest in ((0.1, "zeta"), (0.2, "alpha"), (0.3, "mu")):
        history.record(paths, hand_off(paths, STARTED + offset, guest))
    assert [kept.guest for kept in history.read_all(paths).runs] == ["mu", "alpha", "zeta"]


def test_of_two_records_the_one_that_ended_last_comes_first_though_it_began_with_the_other(paths):
    """What is recorded of a return counts from its first attempt."""
    for offset, duration, guest in ((0.2, 0.1, "first"), (0.1, 0.9, "last")):
        history.record(paths, replace(hand_off(paths, STARTED + offset, guest), duration=duration))
    assert [kept.guest for kept in history.read_all(paths).runs] == ["last", "first"]


def test_without_a_directory_there_is_no_history(paths):
    assert history.read_all(paths) == history.Records(())


@pytest.mark.parametrize(
    "garbage", ["", '{"id": "x"', "[]", "[1]", "3", '{"id": "x"}', '{"steps": 3}', '{"steps": [3]}', "\udcff"]
)
def test_a_damaged_record_is_named_and_the_others_are_shown(paths, garbage):
    kept = hand_off(paths)
    history.record(paths, kept)
    with open(os.path.join(paths.history, "20990101T000000-torn.json"), "w", errors="surrogateescape") as stream:
        stream.write(garbage)
    assert history.read_all(paths) == history.Records((kept,), ("20990101T000000-torn.json",))
    with pytest.raises(VfioctlError) as caught:
        history.read(paths, "20990101T000000-torn")
    assert caught.value.code == "history.damaged"


def test_fields_of_a_newer_version_are_left_out(paths):
    kept = rewritten(paths, lambda known: {**known, "novelty": 1, "steps": [{**known["steps"][0], "novelty": 1}]})
    assert history.read(paths, kept.id) == kept


@pytest.mark.parametrize("name", ["absent", "../last/win11", "", "a\0b", "x" * 300])
def test_an_unknown_id_is_no_path(paths, name):
    os.makedirs(os.path.dirname(paths.last("x")))
    with open(paths.last("win11"), "w", encoding="utf-8") as stream:
        stream.write("{}")
    with pytest.raises(VfioctlError) as caught:
        history.read(paths, name)
    assert caught.value.code.startswith("history.")


def test_the_number_of_records_is_bounded_and_the_oldest_go(paths):
    for offset in range(5):
        history.record(paths, hand_off(paths, STARTED + offset), keep=3)
    assert [kept.started - STARTED for kept in history.read_all(paths).runs] == [4, 3, 2]
    assert history.prune(paths, keep=1) == 2
    assert history.prune(paths, keep=0) == 1
    assert history.read_all(paths).runs == ()


def test_a_new_record_stays_also_where_the_clock_was_set_back(paths):
    for offset in (10, 11, 0):
        history.record(paths, hand_off(paths, STARTED + offset), keep=2)
    assert [kept.started - STARTED for kept in history.read_all(paths).runs] == [11, 0]


def test_temporary_files_are_no_records(paths):
    history.record(paths, hand_off(paths))
    with open(os.path.join(paths.history, ".x.json"), "w"):
        pass
    assert history.read_all(paths).damaged == ()
