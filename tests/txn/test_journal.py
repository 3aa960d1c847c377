"""The journal tells what was begun and done, whatever a crash did to its last line."""

from __future__ import annotations

import json
import os

import pytest
from txn_builders import UUID, plan, step

from vfioctl import files
from vfioctl.errors import VfioctlError
from vfioctl.paths import Paths
from vfioctl.txn.journal import Journal, Standing, open_uuids, read, read_both
from vfioctl.txn.plan import Action
from vfioctl.txn.step import Lifetime

BOOT, DISK = step("a"), step("b", lifetime=Lifetime.DISK)


@pytest.fixture
def paths(tmp_path):
    return Paths(str(tmp_path))


@pytest.fixture
def journal(paths):
    with Journal(paths, UUID) as journal:
        journal.begin(plan(BOOT, DISK), "boot-1")
        yield journal


def test_what_was_begun_and_done_is_read_back(journal, paths):
    journal.intent(Action.APPLY, BOOT)
    journal.done(Action.APPLY, BOOT, "nothing to do")
    journal.intent(Action.APPLY, DISK)
    story = read_both(paths, UUID)
    assert story.begun(Action.APPLY) == ("a", "b")
    assert story.finished(Action.APPLY) == {"a"}
    assert story.standing is Standing.APPLYING


def test_what_was_refused_was_not_begun(journal, paths):
    for item in (BOOT, DISK):
        journal.intent(Action.APPLY, item)
        journal.refused(Action.APPLY, item, "somebody was faster")
    story = read_both(paths, UUID)
    assert (story.begun(Action.APPLY), story.finished(Action.APPLY)) == ((), frozenset())
    assert story.refused(Action.APPLY) == {"a", "b"}
    assert [record.note for record in story.records if record.what == "refused"] == ["somebody was faster"] * 2


@pytest.mark.parametrize("first", ["done", "killed", "refused"])
def test_a_refusal_takes_back_only_its_own_intent(journal, paths, first):
    journal.intent(Action.APPLY, BOOT)
    if first != "killed":
        getattr(journal, first)(Action.APPLY, BOOT, "")
    journal.intent(Action.APPLY, BOOT)
    journal.refused(Action.APPLY, BOOT, "")
    story = read_both(paths, UUID)
    assert story.begun(Action.APPLY) == (() if first == "refused" else ("a",))
    assert story.refused(Action.APPLY) == ({"a"} if first == "refused" else frozenset())


def test_what_was_refused_once_and_tried_again_was_begun(journal, paths):
    journal.intent(Action.APPLY, BOOT)
    journal.refused(Action.APPLY, BOOT, "")
    journal.intent(Action.APPLY, BOOT)
    story = read_both(paths, UUID)
    assert (story.begun(Action.APPLY), story.refused(Action.APPLY)) == (("a",), frozenset())


def test_what_a_recovery_could_not_do_is_told_until_somebody_has_done_it(journal, paths):
    for item in (BOOT, DISK):
        journal.intent(Action.UNDO, item)
    assert read_both(paths, UUID).failures == ()  # it may just have been killed
    for item in (BOOT, DISK):
        journal.failed(Action.UNDO, item, "it is gone")
    journal.intent(Action.UNDO, BOOT)
    assert [f"{one.step}: {one.note}" for one in read_both(paths, UUID).failures] == ["a: it is gone", "b: it is gone"]
    journal.done(Action.UNDO, BOOT)
    story = read_both(paths, UUID)
    assert [one.step for one in story.failures] == ["b"]
    assert story.finished(Action.UNDO) == {"a"}


def test_what_a_recovery_could_not_do_counts_no_more_once_everything_is_held_again(journal, paths):
    journal.failed(Action.UNDO, BOOT, "it is gone")
    journal.standing(Standing.HELD)
    assert read_both(paths, UUID).failures == ()


def test_an_action_may_be_named_by_its_word(journal, paths):
    journal.intent(Action.APPLY, BOOT)
    journal.done(Action.APPLY, BOOT)
    story = read_both(paths, UUID)
    assert (story.begun("apply"), story.finished("apply"), story.begun("undo")) == (("a",), {"a"}, ())


def test_disk_entries_alone_survive_a_reboot(journal, paths):
    journal.intent(Action.APPLY, BOOT)
    journal.intent(Action.APPLY, DISK)
    os.unlink(paths.boot_journal(UUID))
    assert read_both(paths, UUID).begun(Action.APPLY) == ("b",)


def test_the_standing_is_that_of_the_last_line_about_it(journal, paths):
    journal.standing(Standing.HELD)
    journal.standing(Standing.RETURNING)
    assert read_both(paths, UUID).standing is Standing.RETURNING


def test_a_guest_that_has_its_devices_again_has_nothing_undone(journal, paths):
    journal.done(Action.APPLY, BOOT)
    journal.standing(Standing.RETURNING)
    journal.done(Action.UNDO, BOOT)
    journal.standing(Standing.HELD)
    story = read_both(paths, UUID)
    assert (story.finished(Action.APPLY), story.finished(Action.UNDO)) == ({"a"}, frozenset())


def test_a_torn_last_line_is_expected(journal, paths):
    journal.intent(Action.APPLY, BOOT)
    journal.close()
    with open(paths.boot_journal(UUID), "ab") as file:
        file.write(b'{"what": "do')
    story = read(paths.boot_journal(UUID))
    assert story.torn
    assert story.begun(Action.APPLY) == ("a",)


def test_reopening_closes_a_torn_line_off(journal, paths):
    journal.close()
    with open(paths.boot_journal(UUID), "ab") as file:
        file.write(b'{"what": "do')
    with Journal(paths, UUID) as again:
        again.reopen()
        again.intent(Action.UNDO, BOOT)
    assert read(paths.boot_journal(UUID)).begun(Action.UNDO) == ("a",)


def test_every_line_is_told_to_the_observer_after_it_was_written(paths):
    seen: list[str] = []
    with Journal(paths, UUID, observe=lambda moment: seen.append(str(moment))) as journal:
        journal.begin(plan(BOOT), "boot-1")
        journal.intent(Action.APPLY, BOOT)
        journal.done(Action.APPLY, BOOT)
    assert seen == ["intent apply a", "done apply a"]


def test_a_broken_header_is_an_error_with_the_file_named(paths, journal):
    with open(paths.boot_journal(UUID), "w", encoding="utf-8") as file:
        file.write("garbage\n")
    with pytest.raises(VfioctlError, match=r"\.jsonl") as caught:
        read(paths.boot_journal(UUID))
    assert caught.value.code == "journal.corrupt"


def test_a_newer_schema_names_the_version_that_wrote_it(paths, journal):
    with open(paths.boot_journal(UUID), encoding="utf-8") as file:
        header = json.loads(file.readline())
    header["plan"]["schema"], header["version"] = 99, "9.9"
    with open(paths.boot_journal(UUID), "w", encoding="utf-8") as file:
        file.write(json.dumps(header) + "\n")
    with pytest.raises(VfioctlError, match=r"9\.9") as caught:
        read(paths.boot_journal(UUID))
    assert caught.value.code == "journal.schema"


def test_the_end_removes_both_files(journal, paths):
    assert open_uuids(paths) == (UUID,)
    journal.end()
    assert open_uuids(paths) == ()
    assert read_both(paths, UUID) is None


def test_the_end_is_durable_before_it_is_told(journal, paths, monkeypatch):
    """After a power cut btrfs would bring back a journal of what was done, and recovery would undo that."""
    synced = []
    monkeypatch.setattr(files, "sync_dir", lambda path: synced.append((path, os.path.lexists(journal.disk_path))))
    journal.end()
    assert synced == [(os.path.dirname(paths.disk_journal(UUID)), False)]


@pytest.mark.parametrize("line", [
    "5", '"standing"', "[]", "null", "{}", '{"standing": "flying"}', '{"standing": []}', "[" * 50_000, "\0" * 100,
    '{"what": "done", "action": "apply", "step": "a", "at": 1' + "0" * 400 + "}",
    '{"what": "done", "action": "apply", "step": "a", "at": NaN}',
    '{"what": "done", "action": "apply", "step": "a", "at": "soon"}',
    '{"what": "done", "action": "apply", "step": ["a"], "at": 1}',
    '{"what": "done", "action": "apply", "step": "a", "at": 1, "note": {}}',
    '{"what": "undone", "action": "apply", "step": "a", "at": 1}',
    '{"what": "done", "action": "explode", "step": "a", "at": 1}',
])  # fmt: skip
def test_a_line_of_garbage_is_passed_over(journal, paths, line):
    """Also among good ones: the machine is asked anyway."""
    journal.intent(Action.APPLY, BOOT)
    with open(paths.boot_journal(UUID), "a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    journal.standing(Standing.HELD)
    story = read_both(paths, UUID)
    assert (story.torn, story.standing, story.begun(Action.APPLY)) == (True, Standing.HELD, ("a",))
