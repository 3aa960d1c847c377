"""What is undone, by whomever it is finished: what was begun and not refused, on the disk after a restart as well."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from step_builders import program
from txn_builders import OTHER, UUID, proposal

from vfioctl.errors import VfioctlError
from vfioctl.files import read_text
from vfioctl.handoff import others
from vfioctl.handoff.commit import commit
from vfioctl.handoff.holders import Policy
from vfioctl.handoff.outcome import read_last
from vfioctl.handoff.planning import Order, plan
from vfioctl.handoff.release import finish, run_late
from vfioctl.host.host import Host
from vfioctl.log import Log
from vfioctl.txn import recover
from vfioctl.txn.clock import Deadline, as_journalled
from vfioctl.txn.history import read_all
from vfioctl.txn.journal import Journal, Moment, Standing, read_both
from vfioctl.txn.plan import Action
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Lifetime, Phase, Scope

COMMAND = {"argv": ["on"], "undo_argv": ["off"]}
COPY = {"source": "/nvram", "dest": "/copy"}


class Bench:
    """A host of plain files on which one guest is handed nothing but commands and copies."""

    def __init__(self, here) -> None:
        self.here, self.paths, self.ledger = here, here.paths, Ledger(here.paths)
        self.log = Log(here.paths, stderr=None)
        os.makedirs(self.paths.at("usr/bin"), exist_ok=True)
        for name in ("on", "off"):
            program(here.machine(), name, f"echo {name} >>{self.paths.at('said')}")
        Path(self.paths.at("nvram")).write_text("variables")

    def plan(self, *proposals, uuid=UUID):
        host = Host(self.paths, self.here.programs)
        return plan(Order("win11", uuid, (), proposals, Policy), host, self.ledger)

    def run(self, made, *, standing=None, dies_after=None):
        """Commit and apply `made`; SIGKILL after so many records means that nothing more is done."""
        with self.here.transaction(made) as transaction:
            commit(transaction, Host(self.paths, self.here.programs).boot_id())
            journal = transaction.journal
            if dies_after is not None:
                journal.observe = Killer(dies_after)
            try:
                transaction.apply(deadline=Deadline(5))
            except KilledError:
                return
            if standing:
                journal.standing(standing)

    def restart(self):
        """Another boot: /run is empty, and the disk's journal is of an earlier one."""
        self.change_boot_id()
        for directory in (self.paths.ledger, self.paths.markers, os.path.dirname(self.paths.boot_journal(UUID))):
            for path in sorted(Path(directory).rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()

    def change_boot_id(self):
        """Another boot with the same /run, as a container may have it."""
        for path in map(Path, (self.paths.boot_journal(UUID), self.paths.disk_journal(UUID))):
            header, *lines = path.read_text().split("\n")
            path.write_text("\n".join((json.dumps({**json.loads(header), "boot_id": "an-earlier-boot"}), *lines)))

    def recover(self):
        return recover.settle(self.here, UUID, log=self.log)

    def said(self):
        return (read_text(self.paths.at("said")) or "").split()

    def copy(self):
        return read_text(self.paths.at("copy"))


class KilledError(BaseException):
    """SIGKILL: nothing handles it."""


class Killer:
    """Dies after so many records; how far a step is, is none."""

    def __init__(self, records: int) -> None:
        self.left = records

    def __call__(self, moment: Moment) -> None:
        self.left -= moment.what != "progress"
        if not self.left:
            raise KilledError


@pytest.fixture
def bench(here):
    return Bench(here)


def command(lifetime=None, name="command", **fields):
    return proposal(name, kind="command.run", params=COMMAND, lifetime=lifetime, phase=Phase.BEFORE, **fields)


def copy(**fields):
    return proposal("copy", kind="file.copy", params=COPY, phase=Phase.BEFORE, **fields)


# Killed after the intent, the refusal or the done


@pytest.mark.parametrize(("records", "said"), [(1, ["off"]), (2, ["on", "off"])], ids=["intent", "done"])
@pytest.mark.parametrize("restart", [False, True])
def test_a_command_that_was_begun_is_undone(bench, records, said, restart):
    bench.run(bench.plan(command(Lifetime.DISK)), dies_after=records)
    if restart:
        bench.restart()
    bench.recover()
    assert bench.said() == said
    assert bench.recover() == "Nothing was left to do."


@pytest.mark.parametrize("restart", [False, True])
def test_a_command_that_was_refused_is_not_undone(bench, restart):
    made = bench.plan(command(Lifetime.DISK))
    os.unlink(bench.paths.at("usr/bin/on"))
    bench.run(made, dies_after=2)
    assert [record.what for record in read_both(bench.paths, UUID).records] == ["intent", "refused"]
    if restart:
        bench.restart()
    bench.recover()
    assert bench.said() == []


@pytest.mark.parametrize("restart", [Bench.restart, Bench.change_boot_id], ids=lambda restart: restart.__name__)
def test_what_lived_in_the_boot_is_not_undone_after_a_restart(bench, restart):
    bench.run(bench.plan(command()), dies_after=2)
    restart(bench)
    bench.recover()
    assert bench.said() == ["on"]


@pytest.mark.parametrize("standing", [Standing.HELD, Standing.RETURNING])
@pytest.mark.parametrize(("scope", "left"), [(None, "variables"), (Scope.LEASE, None)])
def test_after_a_restart_a_start_keeps_what_it_made_for_good_and_the_lease_ends(bench, standing, scope, left):
    bench.run(bench.plan(command(Lifetime.DISK), copy(scope=scope)), standing=Standing.HELD)
    with Journal(bench.paths, UUID) as journal:
        journal.reopen()
        journal.standing(standing)
    bench.restart()
    bench.recover()
    assert (bench.said(), bench.copy()) == (["on", "off"], left)
    assert bench.recover() == "Nothing was left to do."


# The return of a guest that had everything


def given(bench, *, missing):
    """A guest that was given everything, although the command was not there when `missing`."""
    made = bench.plan(command(best_effort=True))
    if missing:
        os.unlink(bench.paths.at("usr/bin/on"))
    bench.run(made, standing=Standing.HELD)
    with Journal(bench.paths, UUID) as journal:
        journal.reopen()
        journal.standing(Standing.RETURNING)
    return made


@pytest.mark.parametrize(("missing", "said"), [(False, ["on", "off"]), (True, [])])
def test_a_return_undoes_a_command_that_has_run_and_no_other(bench, missing, said):
    given(bench, missing=missing)
    finish(bench.here, UUID, bench.log)
    assert bench.said() == said
    assert read_both(bench.paths, UUID) is None


def test_a_command_for_after_the_start_that_never_came_is_not_undone(bench):
    late = proposal("late", kind="command.run", params=COMMAND, phase=Phase.RUNNING)
    bench.run(bench.plan(late), standing=Standing.HELD)
    bench.recover()
    assert bench.said() == []


def test_a_command_for_after_the_start_is_not_run_where_its_intent_cannot_be_written(bench, monkeypatch):
    late = proposal("late", kind="command.run", params=COMMAND, phase=Phase.RUNNING)
    bench.run(bench.plan(late), standing=Standing.HELD)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("vfioctl.files.write_all", full)
        run_late(bench.here, read_both(bench.paths, UUID), bench.log)
    assert bench.said() == []


def test_what_another_guest_has_left_to_this_one_is_undone_although_this_one_was_refused(bench):
    first, second = bench.plan(command(), uuid=OTHER), bench.plan(command(best_effort=True))
    bench.run(first, standing=Standing.HELD)
    os.unlink(bench.paths.at("usr/bin/on"))
    bench.run(second, standing=Standing.HELD)
    recover.settle(bench.here, OTHER, log=bench.log)
    assert bench.said() == ["on"]
    bench.recover()
    assert bench.said() == ["on", "off"]


def test_what_another_guest_has_left_to_a_start_that_was_killed_before_it_is_undone_by_its_release(bench):
    first, second = bench.plan(command(), uuid=OTHER), bench.plan(copy(), command(after=("copy",)))
    bench.run(first, standing=Standing.HELD)
    bench.run(second, dies_after=1)
    recover.settle(bench.here, OTHER, log=bench.log)
    with Journal(bench.paths, UUID) as journal:
        journal.reopen()
        journal.standing(Standing.RETURNING)
    finish(bench.here, UUID, bench.log)
    assert (bench.said(), bench.copy()) == (["on", "off"], None)


# What is said


def test_after_a_restart_it_says_what_was_undone_and_keeps_a_record_of_it(bench):
    bench.run(bench.plan(command(Lifetime.DISK), copy()), dies_after=4)
    bench.restart()
    said = bench.recover()
    assert said == "win11: the host was restarted in mid-hand-off. Undone: command, copy."
    (record,) = read_all(bench.paths).runs
    assert (record.message, [step.id for step in record.steps]) == (said, ["command", "copy"])


def test_after_a_restart_with_nothing_on_a_disk_it_says_so(bench):
    bench.run(bench.plan(command()), standing=Standing.HELD)
    bench.restart()
    assert bench.recover() == "win11: the host was restarted while it had its devices. Nothing else was left to undo."
    assert read_last(bench.paths, "win11").ok


def test_after_a_restart_what_cannot_be_undone_is_said_and_stays_open(bench):
    bench.run(bench.plan(command(Lifetime.DISK)), dies_after=2)
    bench.restart()
    program(bench.here.machine(), "off", "echo not now >&2; exit 1")
    with pytest.raises(VfioctlError, match=r"restarted in mid-hand-off, and not everything .* not now") as caught:
        bench.recover()
    assert caught.value.code == "return.unfinished"
    program(bench.here.machine(), "off", f"echo off >>{bench.paths.at('said')}")
    bench.recover()
    assert bench.said() == ["on", "off"]


@pytest.mark.parametrize("restart", [False, True])
def test_what_is_foreign_is_named_with_what_removes_it_and_does_not_keep_the_books_open(bench, restart):
    bench.run(bench.plan(copy()), dies_after=1)
    Path(bench.paths.at("copy")).write_text("variables")  # even the same bytes
    if restart:
        bench.restart()
    said = bench.recover()
    assert f"rm -- {bench.paths.at('copy')}" in said
    assert said.startswith(("win11: the interrupted hand-off was undone.", "win11: the host was restarted"))
    assert bench.copy() == "variables"
    assert read_both(bench.paths, UUID) is None


# A start that meets what an earlier boot has left of another guest


def test_what_another_guest_left_on_a_disk_before_the_restart_is_settled_before_a_start_that_needs_it(bench):
    bench.run(bench.plan(copy(scope=Scope.LEASE)), standing=Standing.HELD)
    assert others.unsettled(bench.paths, bench.plan(copy(), uuid=OTHER)) == ()
    bench.restart()
    assert others.unsettled(bench.paths, bench.plan(copy(), uuid=OTHER)) == (UUID,)


def test_the_times_of_a_step_that_was_refused_say_why(bench):
    made = bench.plan(command())
    os.unlink(bench.paths.at("usr/bin/on"))
    bench.run(made, dies_after=2)
    (time,) = as_journalled(made, read_both(bench.paths, UUID).records, {"command": Action.APPLY})
    assert time.outcome.startswith("failed: The program on is not installed")
