"""`recover --discard` puts a journal aside that cannot be ended, with all that is known of it; none that is in use."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from pathlib import Path

import pytest
from damage import CARD, EACH_TIME, HURT, HURT_UUID, KINDS, journal_of
from hand_offs import BY_NAME, DISK, GPU, GUEST, Stage, stage
from step_builders import put
from terminals import on_a_terminal
from turns import in_turn
from txn_builders import step

from vfioctl.compose import compose
from vfioctl.handoff import discard as discarding
from vfioctl.handoff.notes import guest_lock
from vfioctl.kinds.common import driver_of
from vfioctl.testing.domains import UUID
from vfioctl.txn import blobs
from vfioctl.txn.journal import Journal, open_uuids
from vfioctl.txn.plan import Action, Plan
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Lifetime

BUG = ("internal error", "Traceback")


@pytest.fixture
def on(tmp_path):
    with stage(BY_NAME["generic"], tmp_path) as one:
        yield one


def damage(on: Stage, how: str = "torn header") -> None:
    """The journal of the guest that has the card, in both places."""
    for path in (on.host.paths.boot_journal(UUID), on.host.paths.disk_journal(UUID)):
        KINDS[how](Path(path))


def discard(on: Stage, wanted: str = UUID, *more: str):
    return on.command("recover", "--discard", wanted, "--yes", *more)


def place_of(on: Stage) -> Path:
    (place,) = Path(on.host.paths.discarded).iterdir()
    return place


@pytest.mark.parametrize("kind", in_turn(KINDS, always=EACH_TIME))
def test_each_kind_of_damage_is_put_aside_and_the_guest_starts_again(on, kind):
    path = journal_of(on.host.paths, GUEST, UUID)
    KINDS[kind](path)
    was = stat.S_IFMT(os.lstat(path).st_mode)
    ended = discard(on)
    assert ended.returncode == 0, ended.stderr
    assert not any(bug in ended.stdout + ended.stderr for bug in BUG)
    assert open_uuids(on.host.paths) == ()
    assert stat.S_IFMT(os.lstat(place_of(on) / "boot.jsonl").st_mode) == was
    assert on.prepare().status == 0


def test_a_guest_of_which_only_its_pins_are_left_is_called_by_its_name(on):
    paths = on.host.paths
    assert on.start().status == 0
    on.guest_ends()
    damage(on)
    shutil.rmtree(paths.guest_markers(GUEST))
    shutil.rmtree(paths.ledger)
    assert f"Hand-off of {GUEST} ({UUID})" in discard(on).stdout


def test_everything_that_is_known_is_shown_and_kept(on):
    assert on.start().status == 0
    on.guest_ends()
    damage(on, "two steps of one id")
    shown = discard(on).stdout
    place = place_of(on)
    for said in (
        f"Hand-off of {GUEST} ({UUID}), begun ", "two of its steps are called", f"{GPU} is on vfio-pci (before: igb)",
        f"pci:{GPU}", "To be checked by hand:", f"sh {place}/undo.sh", str(place),
    ):  # fmt: skip
        assert said in " ".join(shown.split())
    report = json.loads((place / "report.json").read_text())
    assert {entry["resource"] for entry in report["ledger"]} == set(report["holds"])
    assert Ledger(on.host.paths).entries() == ()
    assert sorted(os.listdir(place)) == ["boot.jsonl", "disk.jsonl", "report.json", "undo.sh"]


def test_the_undo_that_was_kept_still_brings_the_card_home(on):
    assert on.start().status == 0
    on.guest_ends()
    damage(on)
    assert discard(on).returncode == 0
    assert driver_of(on.host.paths, GPU) == "vfio-pci"
    assert on.host.programs.run(("/bin/sh", str(place_of(on) / "undo.sh")), deadline=60).ok
    assert driver_of(on.host.paths, GPU) == "igb"


def test_rescue_first_then_discard_leaves_a_host_as_it_was(on):
    assert on.start().status == 0
    on.guest_ends()
    damage(on)
    rescued = on.command("rescue", "--yes")
    assert f"vfioctl recover --discard {UUID}" in rescued.stdout + rescued.stderr
    shown = discard(on).stdout
    assert "Its undo.sh has been run" in shown
    assert "To be checked" not in shown
    assert on.differences("var/lib/vfioctl/discarded*") == ()


def test_the_release_of_a_guest_whose_journal_is_damaged_brings_the_card_home_by_its_undo(on):
    assert on.start().status == 0
    damage(on)
    on.guest_ends()
    assert on.libvirt.call(GUEST, "release", "end", on.xml).status == 0
    assert driver_of(on.host.paths, GPU) == "igb"
    assert discard(on).returncode == 0
    assert on.start().status == 0


def test_what_is_whole_is_refused_and_stays(on):
    journal_of(on.host.paths)
    for wanted in (HURT, HURT_UUID):
        ended = discard(on, wanted)
        assert (ended.returncode, "[recover.whole]" in ended.stderr) == (3, True)
    assert open_uuids(on.host.paths) == (HURT_UUID,)


# Whole, and nothing ends it


@pytest.fixture
def without_image(tmp_path):
    """The power was cut after the snapshot of a start was made, and its image is gone."""
    with stage(BY_NAME["snapshot"], tmp_path) as one:
        one.crash_at(6)
        assert one.prepare().status < 0
        one.crash_at(None)
        one.host.reboot()
        os.rename(image(one), f"{image(one)}.gone")
        yield one


def image(on: Stage) -> str:
    return on.root + DISK


def test_what_was_never_tried_is_refused(without_image):
    ended = discard(without_image)
    assert (ended.returncode, "[recover.whole]" in ended.stderr) == (3, True)
    assert open_uuids(without_image.host.paths) == (UUID,)


def test_what_recover_cannot_end_is_put_aside_and_the_guest_starts_again(without_image):
    on = without_image
    tried = on.command("recover")
    assert tried.returncode == 1
    assert f"vfioctl recover --discard {UUID}" in tried.stderr
    shown = on.command("recover", "--discard", UUID)
    assert (shown.returncode, open_uuids(on.host.paths)) == (3, (UUID,))
    for said in (f"Hand-off of {GUEST} ({UUID})", "could not be undone: ", f"disk:{DISK} may have been changed by"):
        assert said in " ".join(shown.stdout.split())
    assert discard(on).returncode == 0
    assert open_uuids(on.host.paths) == ()
    os.rename(f"{image(on)}.gone", image(on))
    started = on.start()
    assert started.status == 0, started.stderr


def test_what_recover_can_end_after_all_leaves_nothing_to_put_aside(without_image):
    on = without_image
    assert on.command("recover").returncode == 1
    os.rename(f"{image(on)}.gone", image(on))
    assert on.command("recover").returncode == 0
    ended = discard(on)
    assert (ended.returncode, "[recover.nothing]" in ended.stderr) == (3, True)


def test_a_recovery_that_was_killed_has_not_failed(without_image):
    """It has begun to undo, and nobody knows what it would have come to."""
    on = without_image
    story = on.story()
    with Journal(on.host.paths, UUID) as journal:
        journal.reopen()
        for step in story.plan.changes:
            journal.intent(Action.UNDO, step)
    ended = discard(on)
    assert (ended.returncode, "[recover.whole]" in ended.stderr) == (3, True)


def test_the_content_that_a_whole_journal_names_is_kept_with_it(tmp_path):
    """A later recovery removes content that no journal names."""
    here = compose(str(tmp_path))
    paths = here.paths
    put(paths.at("proc/sys/kernel/random/boot_id"), "boot-1")
    kept = blobs.store(paths, b"as it was before")
    one = step("a", kind="file.write", resource="file:/a", lifetime=Lifetime.DISK,
               params={"path": "/a", "blob": kept.name, "size": kept.size},
               baseline={"former": None, "operation": "3f9ac2d1"})  # fmt: skip
    with here.transaction(Plan("setup", "host", UUID, steps=(one,))) as transaction:
        transaction.begin("boot-1")
        transaction.journal.intent(Action.APPLY, one)
        transaction.journal.failed(Action.UNDO, one, "it is gone")
    known, place = discarding.discard(here, UUID)
    assert (known.operation, known.problems) == ("setup", ("a could not be undone: it is gone",))
    assert Path(place, kept.name).read_bytes() == b"as it was before"


def test_a_guest_that_runs_keeps_its_journal(on):
    assert on.start().status == 0
    damage(on)
    ended = discard(on)
    assert (ended.returncode, "[recover.in_use]" in ended.stderr) == (3, True)
    assert "the guest runs (process" in ended.stderr.replace("\n", " ")
    assert open_uuids(on.host.paths) == (UUID,)


def test_a_guest_that_is_being_started_keeps_its_journal(on):
    """QEMU is about to come; the process that called the hook lives."""
    assert on.prepare().status == 0
    damage(on)
    ended = discard(on)
    assert (ended.returncode, "is starting the guest" in ended.stderr.replace("\n", " ")) == (3, True)


def test_a_hand_off_that_somebody_works_on_keeps_its_journal(on):
    KINDS["empty"](journal_of(on.host.paths))
    with guest_lock(on.host.paths, HURT_UUID):
        ended = discard(on, HURT_UUID)
    assert (ended.returncode, "[lock.busy]" in ended.stderr) == (1, True)
    assert open_uuids(on.host.paths) == (HURT_UUID,)


def test_nobody_is_asked_without_a_terminal_and_nothing_is_moved(on):
    KINDS["empty"](journal_of(on.host.paths))
    ended = on.command("recover", "--discard", HURT_UUID)
    assert (ended.returncode, "[recover.unconfirmed]" in ended.stderr) == (3, True)
    assert f"vfioctl recover --discard {HURT_UUID} --yes" in ended.stderr
    assert open_uuids(on.host.paths) == (HURT_UUID,)


@pytest.mark.parametrize(("typed", "status", "left"), [
    (b"y\n", 0, ()), (b"n\n", 3, (HURT_UUID,)), (b"\n", 3, (HURT_UUID,)), (b"\x04", 130, (HURT_UUID,)),
])  # fmt: skip
def test_on_a_terminal_it_shows_what_is_known_and_asks(on, typed, status, left):
    KINDS["empty"](journal_of(on.host.paths))
    ended, shown = on_a_terminal(on, ("recover", "--discard", HURT_UUID), typed)
    assert (ended, open_uuids(on.host.paths)) == (status, left)
    assert shown.index(f"({HURT_UUID})") < shown.index("Go on? [y/N]")


@pytest.mark.parametrize("wanted", ["nobody", "../../etc", "", UUID])
def test_what_is_not_there_is_refused_with_what_there_is(on, wanted):
    KINDS["empty"](journal_of(on.host.paths))
    ended = discard(on, wanted)
    assert (ended.returncode, "[recover.nothing]" in ended.stderr) == (3, True)
    assert HURT_UUID in ended.stderr


def test_the_id_is_needed_and_the_ids_are_named(on):
    KINDS["empty"](journal_of(on.host.paths))
    ended = on.command("recover", "--discard")
    assert (ended.returncode, HURT_UUID in ended.stderr) == (2, True)


def test_json_tells_the_same(on):
    KINDS["newer schema"](journal_of(on.host.paths))
    data = json.loads(discard(on, HURT_UUID, "--format", "json").stdout)["data"]["discarded"]
    assert (data["uuid"], data["guest"], data["version"], data["undo"]) == (HURT_UUID, HURT, "0.1.0", "")
    assert (data["place"], data["devices"]) == (str(place_of(on)), [])
    assert CARD not in json.dumps(data["holds"])


def test_who_shares_a_resource_puts_it_back_for_both(on):
    assert on.start().status == 0
    on.guest_ends()
    ledger = Ledger(on.host.paths)
    entry = next(entry for entry in ledger.entries() if not entry.resource.startswith("pci:"))
    path = ledger._path(entry.kind, entry.resource)
    ledger._write(path, type(entry)(**{**entry.__dict__, "holders": {**entry.holders, HURT_UUID: HURT}}))
    damage(on)
    assert discard(on).returncode == 0
    (left,) = ledger.entries()
    assert (left.holders, left.inherited) == ({HURT_UUID: HURT}, True)


def test_a_hand_off_that_only_the_ledger_knows_is_forgotten(on):
    """Somebody has removed the journal by hand."""
    assert on.start().status == 0
    on.guest_ends()
    os.unlink(on.host.paths.boot_journal(UUID))
    os.unlink(on.host.paths.disk_journal(UUID))
    shown = discard(on)
    assert shown.returncode == 0
    assert "It has no journal" in shown.stdout
    assert Ledger(on.host.paths).entries() == ()


@pytest.mark.parametrize("kind", ["empty", "directory that is full", "link to nothing", "pipe", "device", "socket"])
def test_what_lies_on_another_file_system_is_moved_as_well(tmp_path, monkeypatch, kind):
    """/run is one of its own. What is no file there has nothing in it to be kept."""
    source, target = tmp_path / "boot.jsonl", tmp_path / "aside.jsonl"
    source.write_text("{}")
    KINDS[kind](source)
    rename = os.rename

    def apart(one, other, **_):
        if str(one) == str(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(one, other)

    monkeypatch.setattr(os, "rename", apart)
    discarding._move(str(source), str(target))
    assert (os.path.lexists(source), os.path.lexists(target)) == (False, kind not in ("pipe", "device", "socket"))

