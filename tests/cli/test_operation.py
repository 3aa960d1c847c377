"""`vfioctl operation …`: an operation that runs apart is listed, shown, followed and cancelled, by root and others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from downloads import CONTENT, serving
from files_operation import NAME, OURS, FilesHost
from somebody import NOBODY, without_root

from vfioctl.actions import worker as workers
from vfioctl.actions.caller import Caller
from vfioctl.actions.facts import running
from vfioctl.actions.operations import still_open
from vfioctl.cli.app import main
from vfioctl.compose import compose
from vfioctl.doors import call
from vfioctl.errors import Busy, Refused
from vfioctl.frozen import replace
from vfioctl.paths import Paths
from vfioctl.txn import recover, runner
from vfioctl.txn.history import Run, record
from vfioctl.txn.journal import Standing
from vfioctl.txn.locks import plan_locks
from vfioctl.txn.plan import Unfinished
from vfioctl.txn.resources import resource_locks
from vfioctl.txn.runner import apart, here, queue
from vfioctl.wait import until

SECONDS = 20.0


@pytest.fixture
def on(tmp_path):
    with serving() as served:
        tmp_path.chmod(0o755)
        yield FilesHost(tmp_path, served, processes=True)
        served.pause.set()


def is_half_way(on):
    rows = json.loads(on.command("operation", "list", "--format", "json").stdout)["data"]["operations"]
    said = rows[0]["progress"] if rows else None
    return bool(said and said["step"] == "fetch" and said["done"])


@pytest.fixture
def half_way(on):
    """It runs apart, and its download stands in the middle."""
    on.served.half_way()
    apart(on.node, on.plan())
    assert until(lambda: is_half_way(on), SECONDS)
    return on


def ended(on):
    return until(lambda: on.story() is None, SECONDS)


def test_what_runs_apart_is_listed_with_its_process_and_its_progress(half_way):
    rows = json.loads(half_way.command("operation", "list", "--format", "json").stdout)["data"]["operations"]
    assert [(row["key"], row["operation"], row["standing"]) for row in rows] == [(half_way.key, NAME, "applying")]
    assert (bool(rows[0]["process"]), rows[0]["unfinished"]) == (True, False)
    assert (rows[0]["progress"]["step"], rows[0]["progress"]["total"]) == ("fetch", len(CONTENT))
    assert "fetch: " in half_way.command("operation", "list").stdout


def test_it_is_shown_step_by_step_by_its_key_or_the_beginning_of_that(half_way):
    shown = half_way.command("operation", "show", half_way.key[:6], "--format", "json")
    steps = {step["id"]: step["state"] for step in json.loads(shown.stdout)["data"]["operation"]["steps"]}
    assert steps == {"copy": "done", "write": "done", "replace": "done", "note": "done", "fetch": "begun"}
    assert "it is undone by: vfioctl recover" in half_way.command("operation", "show", half_way.key).stdout


def test_one_that_is_cancelled_half_way_undoes_everything(half_way):
    said = half_way.command("operation", "cancel", half_way.key)
    assert said.returncode == 0, said.stderr
    assert ended(half_way)
    assert until(lambda: half_way.left() == (), SECONDS)  # its process gives its locks up last
    assert half_way.files() == half_way.before
    assert json.loads(half_way.command("history", "last", "--format", "json").stdout)["data"]["hand_off"]["code"] == (
        "engine.interrupted"
    )


@pytest.fixture
def served(on):
    """A program that calls verbs in threads, as a server does, runs it; how it ends."""
    on.served.half_way()
    with ThreadPoolExecutor() as threads:
        ends = threads.submit(here, on.node, on.plan(), shared=True)
        assert until(lambda: is_half_way(on), SECONDS)
        yield ends
        on.served.pause.set()


def test_a_cancel_ends_the_operation_of_a_server_and_not_the_server(on, served):
    said = on.command("operation", "cancel", on.key)
    assert said.returncode == 0, said.stderr
    assert served.result(SECONDS).error.code == "engine.interrupted"
    assert (on.story(), on.left(), on.files()) == (None, (), on.before)


def test_a_server_cancels_its_own_operation(on, served):
    said = call(on.node, "operation cancel", {"operation": on.key}, Caller(os.geteuid()))
    assert (said.exit_status, said.data["ended"]) == (0, True)
    assert served.result(SECONDS).error.code == "engine.interrupted"


def test_a_server_that_does_not_stop_in_time_is_not_killed(on, served, monkeypatch):
    monkeypatch.setattr("vfioctl.txn.stops.ask", lambda _paths, _key: None)
    worker = workers.of(on.node.paths, on.key)
    assert worker.end(0.2) == "goes on"
    worker.close()


def test_a_second_terminal_follows_it_to_its_end(half_way):
    follower = following(half_way)
    until(lambda: False, 0.5)
    half_way.served.pause.set()
    out, err = follower.communicate(timeout=SECONDS)
    assert follower.returncode == 0, err
    assert "apply  fetch" in out
    assert "has ended" in out
    assert half_way.made() == OURS


def following(on, *more: str):
    argv = [*on.node.self_argv, "operation", "follow", on.key, *more]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
                            start_new_session=True)  # fmt: skip


def test_an_interrupt_ends_the_following_and_leaves_it_running(half_way):
    follower = following(half_way)
    while "…" not in follower.stdout.readline():
        pass
    follower.send_signal(signal.SIGINT)
    _, err = follower.communicate(timeout=SECONDS)
    assert follower.returncode == 130
    assert "goes on" in err
    half_way.served.pause.set()
    assert ended(half_way)
    assert half_way.made() == OURS


def test_a_second_interrupt_cancels_it(half_way):
    follower = following(half_way)
    while "…" not in follower.stdout.readline():
        pass
    follower.send_signal(signal.SIGINT)
    while "once more" not in follower.stdout.readline():
        pass
    follower.send_signal(signal.SIGINT)
    out, _ = follower.communicate(timeout=SECONDS)  # although the step waits for its server
    assert "was cancelled" in out
    assert ended(half_way)
    assert half_way.files() == half_way.before


def test_a_follower_hears_that_its_process_was_killed(half_way):
    follower = following(half_way)
    rows = json.loads(half_way.command("operation", "list", "--format", "json").stdout)["data"]["operations"]
    os.kill(rows[0]["process"], signal.SIGKILL)
    _, err = follower.communicate(timeout=SECONDS)
    assert (follower.returncode, "operation.alone" in err) == (1, True)
    assert half_way.command("operation", "cancel", half_way.key).returncode == 3
    assert half_way.command("recover").returncode == 0
    assert half_way.files() == half_way.before


def test_one_that_another_process_has_taken_up_is_not_said_to_be_held(half_way):
    said = still_open(half_way.story(), half_way.node.paths)
    rows = json.loads(half_way.command("operation", "list", "--format", "json").stdout)["data"]["operations"]
    assert f"is at work again, as process {rows[0]['process']}." in said.messages[0].text


def test_what_has_not_begun_is_dropped_by_a_cancel(on):
    queue(on.node, on.plan())
    assert on.command("operation", "cancel", "a set").returncode == 0
    assert (on.files(), on.left()) == (on.before, ())


def test_what_never_began_is_dropped_by_recover_only_after_its_time(on, monkeypatch):
    queue(on.node, on.plan())
    with pytest.raises(Refused) as caught:
        recover.settle(on.node, on.key)
    assert caught.value.code == "operation.queued"
    later = time.time() + recover.QUEUED_SECONDS
    monkeypatch.setattr(recover.time, "time", lambda: later)
    assert "is dropped" in recover.settle(on.node, on.key)
    assert (on.files(), on.left()) == (on.before, ())


def test_a_follower_does_not_wait_for_a_process_that_never_came(on, monkeypatch, capsys):
    queue(on.node, on.plan())
    later = time.time() + recover.QUEUED_SECONDS
    monkeypatch.setattr(recover.time, "time", lambda: later)
    assert main(on.node, ["operation", "follow", on.key], {}) == 1
    said = capsys.readouterr().err
    assert "files set a set was dropped: no process had begun it after 30 s. [operation.not_begun]" in said
    assert (on.files(), on.left()) == (on.before, ())


def test_what_keeps_it_from_beginning_is_its_end(on, monkeypatch, capsys):
    monkeypatch.setattr(runner, "LOCK_SECONDS", 0.1)
    queue(on.node, on.plan())
    with resource_locks(on.node.paths, ("file:/srv/copied",), deadline=0), pytest.raises(Busy):
        runner.run(on.node, on.key)
    assert (on.files(), on.left()) == (on.before, ())
    main(on.node, ["history", "last", "--format", "json"], {})
    record = json.loads(capsys.readouterr().out)["data"]["hand_off"]
    assert (record["operation"], record["code"], record["ok"]) == (NAME, "lock.busy", False)


@pytest.mark.parametrize("begin", [here, queue])
def test_one_that_waits_for_its_turn_is_not_taken_for_a_hand_off(on, monkeypatch, begin):
    seen = []

    def looked(*args, **fields):
        seen.extend(running(on.node.paths))
        return plan_locks(*args, **fields)

    monkeypatch.setattr(runner, "plan_locks", looked)
    begin(on.node, on.plan())
    assert seen == []


def test_it_is_run_once(on):
    queue(on.node, on.plan())
    assert on.run() == 0
    assert on.run() != 0
    assert on.made() == OURS


def test_what_fails_is_undone_and_says_at_which_step(on):
    on.served.statuses = [404]
    failed = here(on.node, on.plan())
    assert "files set a set failed at fetch" in failed.error.message
    assert failed.error.state == "Everything was put back."
    assert (on.files(), on.left()) == (on.before, ())


def test_what_only_a_person_may_end_is_left_and_named(on):
    queue(on.node, on.plan(Unfinished.LEAVE))
    with on.node.transaction(on.story().plan) as transaction:
        transaction.reopen(Standing.APPLYING)
    said = on.command("recover")
    assert said.returncode == 3
    assert "operation.left" in said.stderr
    assert on.story() is not None


@pytest.mark.parametrize("with_state", [True, False])
def test_a_caller_who_is_not_root_neither_sees_nor_cancels_what_root_runs(half_way, tmp_path, monkeypatch, with_state):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    somebody = Caller(NOBODY, state=str(tmp_path / "own") if with_state else "")
    seen = call(half_way.node, "operation list", {}, somebody)
    assert (seen.data["operations"], seen.exit_status) == ([], 0)
    for verb in ("operation cancel", "operation show", "operation follow"):
        refused = call(half_way.node, verb, {"operation": half_way.key}, somebody)
        assert (refused.exit_status, refused.errors[0].code) == (77, "not_root")
    assert half_way.story().standing is Standing.APPLYING


def test_a_name_that_nothing_open_has_is_refused_with_what_is_open(half_way):
    said = half_way.command("operation", "show", "nothing")
    assert said.returncode == 3
    assert half_way.key in said.stderr


def test_status_of_a_guest_names_what_is_at_work_on_it(on):
    plan = replace(on.plan(), subject="guest:win11")
    queue(on.node, plan)
    for guest, operations in (("win11", [NAME]), ("linux", [])):
        Path(on.node.paths.guest_config(guest)).parent.mkdir(parents=True, exist_ok=True)
        Path(on.node.paths.guest_config(guest)).touch()
        shown = json.loads(on.command("status", guest, "--format", "json").stdout)["data"]
        assert [row["operation"] for row in shown["operations"]] == operations


def test_status_names_what_is_open(half_way):
    shown = json.loads(half_way.command("status", "--format", "json").stdout)["data"]
    assert [row["key"] for row in shown["operations"]] == [half_way.key]
    assert not shown["hand_offs"]
    assert "files set" in half_way.command("status").stdout


@pytest.fixture
def theirs(tmp_path):
    """The operations of somebody who is not root, on root's host."""
    home = tmp_path / "home"
    with serving() as served:
        tmp_path.chmod(0o755)
        on = FilesHost(tmp_path, served, own=str(home / "vfioctl"), processes=True)
        home.mkdir()
        for place in tmp_path.parents:
            if str(place) in (tempfile.gettempdir(), "/"):
                break
            place.chmod(0o755)
        for path in (home, on.root / ".kit", on.root / "srv", *(on.root / "srv").iterdir()):
            os.chown(path, NOBODY, NOBODY)
        yield on
        served.pause.set()


def verb(on, *argv):
    return lambda: main(on.node, argv, {"XDG_STATE_HOME": os.path.dirname(on.own)})


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@needs_root
def test_somebody_else_runs_operations_of_their_own(theirs):
    assert without_root(lambda: int(here(theirs.node, theirs.plan()).error is not None)) == 0
    assert theirs.made() == OURS
    assert Path(theirs.root, "srv/written").stat().st_uid == NOBODY
    assert not Path(theirs.root, "run/vfioctl").exists()
    assert not Path(theirs.root, "var/lib/vfioctl").exists()


@needs_root
def test_somebody_else_finds_their_own_in_the_history_beside_those_of_the_host(theirs, capfd):
    def records_seen(key, *words):
        asked = ("history", *words, "--format", "json")
        environ = {"XDG_STATE_HOME": os.path.dirname(theirs.own)}
        capfd.readouterr()
        assert without_root(lambda: main(compose(str(theirs.root)), asked, environ)) == 0
        return json.loads(capfd.readouterr().out)["data"][key]

    hosts = Run("20261121T101530-win11", "win11", theirs.key, "prepare", 1795256130.0, 1.0, ok=True)
    record(Paths(str(theirs.root)), hosts)
    assert without_root(lambda: int(here(theirs.node, theirs.plan()).error is not None)) == 0
    own, other = records_seen("hand_offs")
    assert (own["operation"], other["id"]) == (NAME, hosts.id)
    assert [records_seen("hand_off", word)["id"] for word in (own["id"], "last")] == [own["id"]] * 2


@needs_root
def test_somebody_else_recovers_and_cancels_what_is_theirs(theirs):
    def leave_open():
        queue(theirs.node, theirs.plan())
        with theirs.node.transaction(theirs.story().plan) as transaction:
            transaction.reopen(Standing.APPLYING)
        return 0

    assert without_root(leave_open) == 0
    assert without_root(verb(theirs, "operation", "show", theirs.key)) == 0
    assert without_root(verb(theirs, "operation", "cancel", theirs.key)) == 3  # nobody works on it
    assert without_root(verb(theirs, "recover")) == 0
    assert theirs.left() == ()
    assert without_root(verb(theirs, "recover")) == 77  # nothing of theirs is open: the rest is root's


def test_a_plan_that_is_blocked_is_refused_with_nothing_touched(on):
    Path(on.root, "srv/copied").write_text("precious")
    before = on.files()
    with pytest.raises(Refused):
        here(on.node, replace(on.plan()))
    assert on.files() == before
