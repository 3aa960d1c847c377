"""Content that a plan names: kept apart, read whole, gone with its journal."""

from __future__ import annotations

import os
import time

import pytest
from step_builders import plain_machine, planned
from txn_builders import UUID
from txn_builders import plan as make_plan

from vfioctl.errors import Refused, StepFailed
from vfioctl.txn import blobs
from vfioctl.txn.journal import Journal
from vfioctl.txn.transaction import Transaction

LONG_AGO = time.time() - 2 * blobs.PLANNED


@pytest.fixture
def machine(tmp_path):
    return plain_machine(str(tmp_path))


@pytest.fixture
def paths(machine):
    return machine.paths


def plan(machine, *names):
    steps = tuple(
        planned(machine, "file.write", {"path": f"/var/lib/{index}", "blob": name, "size": 1}, id=str(index))
        for index, name in enumerate(names)
    )
    return make_plan(*steps)


def grow_old(paths, name):
    os.utime(os.path.join(paths.blobs, name), (LONG_AGO, LONG_AGO))


def test_what_is_stored_is_read_again(paths):
    blob = blobs.store(paths, b"\0content")
    assert blob.size == 8
    assert blobs.read(paths, blob.name) == b"\0content"


def test_what_is_too_large_is_refused_before_it_is_kept(paths, monkeypatch):
    monkeypatch.setattr(blobs, "LARGEST", 2)
    with pytest.raises(Refused) as caught:
        blobs.store(paths, b"abc")
    assert caught.value.code == "blob.too_large"
    assert not os.path.exists(paths.blobs)


def test_the_same_content_of_two_plans_is_two_blobs(paths):
    one, other = blobs.store(paths, b"x"), blobs.store(paths, b"x")
    blobs.drop(paths, one.name)
    assert blobs.read(paths, other.name) == b"x"


@pytest.mark.parametrize("left", [b"conten", b""], ids=["cut off", "empty"])
def test_what_a_crash_has_cut_off_is_never_read(paths, left):
    blob = blobs.store(paths, b"content")
    with open(os.path.join(paths.blobs, blob.name), "wb") as file:
        file.write(left)
    with pytest.raises(StepFailed) as caught:
        blobs.read(paths, blob.name)
    assert caught.value.code == "blob.damaged"


def test_what_is_missing_is_an_error_in_words(paths):
    with pytest.raises(StepFailed) as caught:
        blobs.read(paths, blobs.new_name(b""))
    assert caught.value.code == "blob.missing"


def test_the_last_blob_takes_the_directory_with_it(paths):
    blob = blobs.store(paths, b"x")
    blobs.drop(paths, blob.name)
    blobs.drop(paths, blob.name)
    assert not os.path.exists(paths.blobs)


def test_blobs_go_with_the_journal_that_names_them_and_others_stay(machine, paths):
    ours, others = blobs.store(paths, b"x"), blobs.store(paths, b"x")
    with Transaction(machine, plan(machine, ours.name)) as one:
        one.begin("boot")
        assert blobs.is_there(paths, ours.name)
        one.forget()
    assert os.listdir(paths.blobs) == [others.name]


def test_the_sweep_leaves_what_a_journal_names_and_what_may_still_begin(machine, paths):
    named, orphan, young = (blobs.store(paths, b"x").name for _ in range(3))
    for name in (named, orphan):
        grow_old(paths, name)
    with Journal(paths, UUID) as journal:
        journal.begin(plan(machine, named), "boot")
    assert blobs.sweep(paths) == (orphan,)
    assert sorted(os.listdir(paths.blobs)) == sorted((named, young))


def test_the_sweep_leaves_what_a_damaged_journal_names(machine, paths):
    named = blobs.store(paths, b"x").name
    grow_old(paths, named)
    with Journal(paths, UUID) as journal:
        journal.begin(plan(machine, named), "boot")
    for path in (paths.boot_journal(UUID), paths.disk_journal(UUID)):
        with open(path, "r+", encoding="utf-8") as file:
            file.write("###")
    assert blobs.sweep(paths) == ()


def test_the_sweep_of_nothing_says_nothing(paths):
    assert blobs.sweep(paths) == ()
