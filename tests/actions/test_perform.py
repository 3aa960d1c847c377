"""An operation that a verb asks for: foretold, refused, agreed to, run here or apart, undone, given up."""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from downloads import serving
from files_operation import FilesHost
from somebody import NOBODY

from vfioctl.actions.caller import Call, Caller
from vfioctl.actions.errors import Interrupted, Unconfirmed
from vfioctl.actions.moments import Told
from vfioctl.errors import NotRoot, Refused, Stuck, VfioctlError
from vfioctl.frozen import replace
from vfioctl.plugin import Finding, OperationRequest, Phase, Question, Severity, StepProposal, content_name
from vfioctl.txn import history, runner
from vfioctl.txn.journal import Moment, open_uuids, read_both
from vfioctl.txn.plan import Action, Unfinished
from vfioctl.txn.runner import queue
from vfioctl.wait import until

CONTENT = b"what the verb wants\n"


@pytest.fixture
def on(tmp_path: Path):
    with serving() as served:
        tmp_path.chmod(0o755)
        host = FilesHost(tmp_path, served, processes=True)
        (tmp_path / "usr/bin/broken").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "usr/bin/broken").chmod(0o755)
        yield host
        served.pause.set()


def write(name: str, path: str, **wish) -> StepProposal:
    params = {"path": path, "blob": name, "size": len(CONTENT)}
    return StepProposal("write", "file.write", params, "the verb wants it", **wish)


def request(*more: StepProposal, path: str = "/srv/made", **wishes) -> OperationRequest:
    name = content_name(CONTENT)
    return OperationRequest(
        "shelf", "shelf fill", "shelf:top", str(uuid.uuid4()), (write(name, path), *more), contents={name: CONTENT},
        **wishes,
    )  # fmt: skip


def failing() -> StepProposal:
    return StepProposal("note", "command.run", {"argv": ["broken"]}, "a test", after=("write",))


def call(on: FilesHost, **of_the_caller) -> Call:
    return Call(on.node, Caller(os.geteuid(), **of_the_caller), "shelf fill")


def blobs(on: FilesHost) -> list[str]:
    place = Path(on.node.paths.blobs)
    return sorted(os.listdir(place)) if place.is_dir() else []


def is_untouched(on: FilesHost) -> bool:
    return on.files() == on.before and not blobs(on)


def test_what_is_asked_for_is_done_and_recorded(on):
    result = call(on).perform(request())
    assert ((on.root / "srv/made").read_bytes(), result.exit_status) == (CONTENT, 0)
    about = result.data["operation"]
    assert (about["operation"], about["subject"]) == ("shelf fill", "shelf:top")
    assert (about["ended"], about["ok"]) == (True, True)
    assert about["record"] in on.command("history", "--format", "json").stdout
    assert [step["id"] for step in result.data["steps"]] == ["write"]


def test_what_another_operation_has_changed_while_it_was_asked_is_what_its_undo_puts_back(on):
    value = on.root / "sys/module/shelf/parameters/depth"
    value.parent.mkdir(parents=True)
    value.write_text("0\n")
    path = f"/{value.relative_to(on.root)}"

    def deepen(to: str, *more: StepProposal, **wishes: object) -> OperationRequest:
        step = StepProposal("depth", "sysfs.write", {"path": path, "value": to}, "a test")
        return OperationRequest("shelf", "shelf deepen", f"shelf:{to}", str(uuid.uuid4()), (step, *more), **wishes)

    def meanwhile(_question: str) -> bool:
        return call(on).perform(deepen("1")).exit_status == 0

    broken = StepProposal("note", "command.run", {"argv": ["broken"]}, "a test", after=("depth",))
    asked = Question("shelf.unconfirmed", ())
    result = call(on, ask=meanwhile).perform(deepen("2", broken, question=asked))
    assert ([error.code for error in result.errors], value.read_text().strip()) == (["command.failed"], "1")


def test_its_content_lies_nowhere_afterwards(on):
    call(on).perform(request())
    assert blobs(on) == []


def test_a_dry_run_on_a_host_without_any_state_makes_none(on):
    os.makedirs(os.path.dirname(on.node.paths.state), exist_ok=True)
    shutil.rmtree(on.node.paths.state, ignore_errors=True)
    before = sorted(on.root.rglob("*"))
    call(on).perform(request(), dry_run=True)
    assert sorted(on.root.rglob("*")) == before


def test_a_dry_run_says_what_would_be_done_and_does_nothing(on):
    wanted = request(question=Question("shelf.unconfirmed", ("It is filled.",)))
    result = call(on).perform(wanted, dry_run=True)
    assert (result.data["dry_run"], result.data["operation"]["ended"], result.exit_status) == (True, False, 0)
    assert result.data["steps"][0]["undo"] == "exact"
    assert is_untouched(on)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_finding_that_blocks_refuses_it_with_nothing_touched(on, dry_run):
    full = Finding("shelf.full", "The shelf is full.", Severity.BLOCK, hint="Empty it.")
    result = call(on).perform(request(findings=(full,)), dry_run=dry_run)
    error, = result.errors
    assert (error.code, error.state, error.hints) == ("shelf.full", "Nothing was changed.", ("Empty it.",))
    assert (result.exit_status, is_untouched(on)) == (3, True)


def test_what_blocks_it_is_explained_by_an_operation_on_the_same_that_is_not_finished(on):
    plan = replace(on.plan(), operation="shelf fill", subject="shelf:top")
    queue(on.node, plan)
    full = Finding("shelf.full", "The shelf is full.", Severity.BLOCK)
    beside, error = call(on).perform(request(findings=(full,))).errors
    assert (beside.code, error.code) == ("operation.beside", "shelf.full")
    assert "shelf fill shelf:top is not finished, it stands at queued." in beside.message


def by_perform(on: FilesHost, key: str) -> None:
    call(on).perform(replace(request(), key=key))


def by_runner(begin) -> Callable[[FilesHost, str], None]:
    return lambda on, key: begin(on.node, replace(on.plan(), key=key))


@pytest.mark.parametrize("begin", [by_perform, by_runner(runner.here), by_runner(runner.queue)])
def test_one_with_the_key_of_another_that_is_not_finished_is_refused_and_leaves_its_journal(on, begin):
    plan = replace(on.plan(), operation="shelf fill", subject="shelf:top")
    queue(on.node, plan)
    told, made = read_both(on.node.paths, plan.key), on.files()
    with pytest.raises(Refused) as caught:
        begin(on, plan.key)
    assert (caught.value.code, caught.value.state) == ("operation.key_taken", "Nothing was changed.")
    assert (read_both(on.node.paths, plan.key), on.files()) == (told, made)


def test_what_the_kind_of_a_step_finds_refuses_it_too(on):
    result = call(on).perform(request(path="/srv/source"))
    assert ([error.code for error in result.errors], is_untouched(on)) == (["file.exists"], True)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"key": "../../etc/passwd"}, "the key '../../etc/passwd', which is no UUID"),
        ({"proposals": (replace(failing(), kind="no.such"),)}, "the step 'note' of the unknown kind str 'no.such'"),
        ({"proposals": (replace(failing(), params={"argv": "true"}),)}, "the step 'note' of the kind command.run: "),
        ({"proposals": (failing(), failing())}, "two steps with the id 'note'"),
        ({"proposals": (replace(failing(), phase=Phase.AFTER),)}, "the step 'note' of the phase after, "),
        ({"unfinished": Unfinished.RETURN}, "the end RETURN, which a hand-off alone has"),
        ({"contents": {"me": b""}}, "the content str 'me', which is not bytes by their content_name"),
        ({"proposals": iter((failing(),))}, "the steps tuple_iterator"),
        ({"findings": iter(())}, "the findings tuple_iterator"),
        ({"notes": {"when": {1, 2}}}, "the notes, which are not a JSON object"),
    ],
)
def test_a_request_that_is_malformed_is_blamed_on_its_plugin(on, wrong, why):
    with pytest.raises(VfioctlError, match="The plugin shelf asked for an operation with") as refused:
        call(on).perform(replace(request(), **wrong))
    assert (refused.value.code, refused.value.state) == ("plugin.bad_result", "Nothing was changed.")
    assert why in refused.value.message
    assert is_untouched(on)


def test_a_finding_that_warns_comes_with_the_result(on):
    dusty = Finding("shelf.dusty", "The shelf is dusty.", Severity.WARN)
    result = call(on).perform(request(findings=(dusty,)))
    assert [(said.code, said.level) for said in result.messages] == [("shelf.dusty", "warning")]


@pytest.mark.parametrize(("alone", "shared"), [(True, False), (False, True)])
def test_what_a_process_runs_beside_other_work_is_cancelled_without_ending_it(on, monkeypatch, alone, shared):
    asked: list[bool] = []
    run = runner.here
    monkeypatch.setattr(runner, "here", lambda *plan, **how: (asked.append(how["shared"]), run(*plan, **how))[1])
    call(on, alone=alone).perform(request())
    assert asked == [shared]


def test_a_question_without_an_answer_leaves_everything(on):
    wanted = request(question=Question("shelf.unconfirmed", ("It is filled.",)))
    with pytest.raises(Unconfirmed) as refused:
        call(on).perform(wanted)
    assert (refused.value.code, refused.value.lines) == ("shelf.unconfirmed", ("It is filled.",))
    assert is_untouched(on)


def test_a_question_that_is_agreed_to_is_not_asked(on):
    wanted = request(question=Question("shelf.unconfirmed", ("It is filled.",)))
    result = call(on, agreed=frozenset({"shelf.unconfirmed"})).perform(wanted)
    assert result.data["operation"]["ok"]


def test_what_fails_is_undone_and_says_where(on):
    result = call(on).perform(request(failing()))
    error, = result.errors
    assert (result.data["operation"]["ok"], result.exit_status) == (False, 1)
    assert "shelf fill shelf:top failed at note" in error.message
    assert (is_untouched(on), on.story()) == (True, None)


def test_each_moment_is_observed_and_told(on):
    seen: list[Moment] = []
    lines: list[str] = []
    call(on, observe=seen.append, tell=lines.append).perform(request())
    assert [(moment.step, moment.what) for moment in seen] == [("write", "intent"), ("write", "done")]
    assert [line.split()[1] for line in lines] == ["write", "write"]


@pytest.mark.parametrize("listener", ["tell", "observe"])
def test_who_listens_and_goes_away_changes_nothing_of_what_is_done(on, listener):
    def gone(_said: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    result = call(on, **{listener: gone}).perform(request())
    assert ((on.root / "srv/made").read_bytes(), result.exit_status, on.story()) == (CONTENT, 0, None)
    assert [message.text for message in result.messages] == ["Not all of its steps could be told: Broken pipe."]


def test_how_far_a_step_is_is_told_once(on):
    lines: list[str] = []
    told = Told(Caller(0, tell=lines.append))
    for done in (1, 1, 2, 2):
        told(Moment("progress", Action.APPLY, "fetch", at=1.0, done=done, total=2, unit="bytes"))
    assert len(lines) == 2


def test_a_rate_and_the_time_left_are_told_and_the_way_ends_at_its_end(on):
    lines: list[str] = []
    told = Told(Caller(0, tell=lines.append))
    for at, done in ((1.0, 0), (3.0, 20 << 20)):
        told(Moment("progress", Action.APPLY, "fetch", at=at, done=done, total=100 << 20, unit="bytes"))
    told(Moment("done", Action.APPLY, "fetch", at=4.0))
    assert [line.strip() for line in lines[:3]] == [
        "fetch: 0 B of 100.0 MiB (0 %)", "fetch: 20.0 MiB of 100.0 MiB (20 %), 10.0 MiB/s, 8 s left",
        "fetch: 100.0 MiB of 100.0 MiB (100 %)",
    ]  # fmt: skip
    assert "done" in lines[3]


def test_the_history_of_a_guest_has_what_was_done_to_it(on):
    call(on).perform(replace(request(), subject="guest:win11"))
    call(on).perform(replace(request(path="/srv/other"), subject="guest:other"))
    rows = [row for row in on.command("history", "--guest", "win11").stdout.splitlines() if "shelf" in row]
    assert len(rows) == 1
    assert " win11 " in rows[0]


def at(what: str, step: str = "write"):
    """An observer that gives up at this moment of a step, as ^C does."""

    def observe(moment: Moment) -> None:
        if (moment.what, moment.step, moment.action) == (what, step, Action.APPLY):
            os.kill(os.getpid(), signal.SIGINT)

    return observe


@pytest.mark.parametrize("unfinished", [Unfinished.UNDO, Unfinished.FINISH, Unfinished.LEAVE])
@pytest.mark.parametrize("what", ["intent", "done"])
def test_giving_up_undoes_what_was_begun(on, what, unfinished):
    wanted = request(failing(), unfinished=unfinished)
    with pytest.raises(Interrupted, match="was undone"):
        call(on, observe=at(what)).perform(wanted)
    assert is_untouched(on)


def test_giving_up_finishes_what_nothing_takes_back(on):
    there = (on.root / "srv/source").stat()
    gone = {"path": "/srv/source", "device": there.st_dev, "inode": there.st_ino}
    delete = StepProposal("delete", "file.delete", gone, "a test")
    wanted = request(unfinished=Unfinished.FINISH)
    wanted = replace(wanted, proposals=(delete, replace(wanted.proposals[0], after=("delete",))))
    with pytest.raises(Interrupted, match="was finished"):
        call(on, observe=at("done", "delete")).perform(wanted)
    assert not (on.root / "srv/source").exists()
    assert (on.root / "srv/made").read_bytes() == CONTENT


def test_giving_up_what_has_ended_says_how_it_did(on, monkeypatch):
    def kept_and_interrupted(*args, **fields):
        keep_run(*args, **fields)
        raise KeyboardInterrupt

    keep_run = history.keep_run
    monkeypatch.setattr(history, "keep_run", kept_and_interrupted)
    with pytest.raises(Interrupted, match=r"^Interrupted. shelf fill shelf:top had ended already: done\."):
        call(on).perform(request())
    assert (on.root / "srv/made").read_bytes() == CONTENT


def test_apart_it_is_followed_to_its_end(on):
    lines: list[str] = []
    result = call(on, tell=lines.append).perform(request(), apart=True)
    assert (result.data["operation"]["ok"], (on.root / "srv/made").read_bytes()) == (True, CONTENT)
    assert any("done" in line for line in lines)
    assert blobs(on) == []


def test_apart_what_fails_says_the_same_as_here(on):
    def shown(**how):
        result = call(on).perform(request(failing()), **how)
        return [(one.code, one.message, one.state, one.hints) for one in result.errors], result.exit_status

    assert shown(apart=True) == shown()


@pytest.mark.parametrize("error", [
    Stuck("device.stuck", "It hangs.", state="It stays.", hints=("See: vfioctl status",)),
    Refused("lock.busy", "Another one has it.", state="Nothing was changed."),
])  # fmt: skip
def test_apart_a_failure_keeps_its_exit_status(on, monkeypatch, error):
    def ended(node, plan, **_):
        history.keep_run(
            node.paths, (), subject=plan.subject, key=plan.key, event=plan.operation, operation=plan.operation,
            message=error.message, error=error,
        )  # fmt: skip

    monkeypatch.setattr(runner, "apart", ended)
    result = call(on).perform(request(), apart=True)
    (said,) = result.errors
    assert (said.state, said.hints, result.exit_status) == (error.state, error.hints, error.exit_status)


def test_apart_what_has_ended_before_it_can_be_followed_says_how(on, monkeypatch):
    begin = runner.apart

    def ended(node, plan, **how) -> None:
        begin(node, plan, **how)
        assert until(lambda: plan.key not in open_uuids(node.paths), 30)

    monkeypatch.setattr(runner, "apart", ended)
    result = call(on).perform(request(), apart=True)
    assert (result.data["operation"]["ok"], result.exit_status) == (True, 0)
    assert (on.root / "srv/made").read_bytes() == CONTENT


def test_apart_what_fails_comes_back_as_its_error(on):
    result = call(on).perform(request(failing()), apart=True)
    assert (result.data["operation"]["ok"], result.exit_status, len(result.errors)) == (False, 1, 1)
    assert is_untouched(on)


@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_caller_who_is_not_root_has_nothing_done_with_the_rights_of_root(
    on, tmp_path_factory, monkeypatch, with_state, dry_run
):  # fmt: skip
    monkeypatch.setattr("os.geteuid", lambda: 0)
    own = tmp_path_factory.mktemp("state")
    asked = Call(on.node, Caller(NOBODY, state=str(own) if with_state else ""), "shelf fill")
    with pytest.raises(NotRoot):
        asked.perform(request(), dry_run=dry_run)
    assert is_untouched(on)
    assert not list(own.iterdir())


def test_a_caller_who_has_no_state_of_their_own_is_told_what_is_missing(on, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: NOBODY)
    with pytest.raises(NotRoot, match="a directory for operations of the caller's own"):
        Call(on.node, Caller(NOBODY), "shelf fill").perform(request())
    assert is_untouched(on)


def test_somebody_else_has_the_operation_in_a_state_of_their_own(on, tmp_path_factory, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: NOBODY)
    own = tmp_path_factory.mktemp("state")
    asked = Call(on.node, Caller(NOBODY, state=str(own)), "shelf fill")
    seen: list[Path] = []
    asked.caller = replace(asked.caller, observe=lambda _moment: seen.extend(own.rglob("*.json*")))
    assert asked.perform(request()).data["operation"]["ok"]
    assert seen
    assert not Path(on.node.paths.state).exists()
