"""Has an operation planned, checked, agreed to and run: the way of every verb that changes something by steps."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.actions.errors import Interrupted
from vfioctl.actions.moments import Told
from vfioctl.actions.operations import follow, step_row
from vfioctl.actions.states import node_of
from vfioctl.errors import VfioctlError, reason
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import replace
from vfioctl.ownership import secure_state
from vfioctl.plugin.requests import checked
from vfioctl.result import Error, Message, Result, failed, refused
from vfioctl.signals import Terminated
from vfioctl.txn import blobs, generation, history, runner
from vfioctl.txn.journal import Standing, open_uuids, read_both
from vfioctl.txn.locks import BESIDE
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.plan import Unfinished
from vfioctl.txn.planner import Brief, make_plan, new_id
from vfioctl.txn.resources import Ledger

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.compose import Composition
    from vfioctl.paths import Paths
    from vfioctl.plugin.operations import OperationRequest
    from vfioctl.txn.plan import Plan
    from vfioctl.txn.resources import Entry
    from vfioctl.txn.runner import Ended
    from vfioctl.txn.step import Step


def perform(
    call: Call, request: OperationRequest, *, dry_run: bool = False, apart: bool = False, quiet: bool = False
) -> Result:
    """The result of the operation, whose data has `operation`, `steps` and `dry_run`. What fails is undone.

    A `quiet` one, of a few small files, tells no line of its steps.

    Raises Refused and Unconfirmed with nothing touched, Busy, and Interrupted where the caller gave up.
    """
    checked(request)
    node = node_of(call)
    if call.administers:
        secure_state(node.paths)
    runner.must_be_new(node, request.key)
    with _contents(node.paths, request):
        draft = Draft(node, request)
        if dry_run or draft.plan.blocks:
            return _foretold(draft.plan, tuple(_beside(node.paths, draft.plan)), dry_run=dry_run)
        if asked := request.question:
            call.need_agreement(asked.code, asked.lines, *asked.more)
        return _apart(call, node, draft) if apart else _here(call, node, draft, quiet=quiet)


@contextmanager
def _contents(paths: Paths, request: OperationRequest) -> Iterator[None]:
    """The contents that the plan names, kept as long as a journal is open for them."""
    fresh = not os.path.isdir(paths.state)
    try:
        for name, content in request.contents.items():
            blobs.store(paths, content, name)
        yield
    finally:
        if read_both(paths, request.key) is None:
            blobs.drop(paths, *request.contents)
            if fresh:  # a dry run on a host that has no state yet leaves none
                with suppress(OSError):
                    os.rmdir(paths.state)


class Draft:
    """The plan of a request. It is made anew where any operation has changed something since, as while it was asked."""

    def __init__(self, node: Composition, request: OperationRequest) -> None:
        self.node = node
        self.request = replace(request, id=request.id or new_id())
        self._seen = generation.current(node.paths)
        self.plan = _planned(node, self.request)

    def again(self) -> Plan:
        """The plan by now, to be asked for while its locks are held."""
        if self._seen != (now := generation.current(self.node.paths)):
            self._seen, self.plan = now, _planned(self.node, self.request)
        return self.plan


def _planned(node: Composition, request: OperationRequest) -> Plan:
    brief = Brief(
        operation=request.operation, subject=request.subject, key=request.key, checks=_conflicts,
        proposals=tuple(Proposed(request.plugin, proposal) for proposal in request.proposals),
        findings=request.findings, limits=request.limits, unfinished=request.unfinished, notes=request.notes,
        id=request.id,
    )  # fmt: skip
    return make_plan(brief, node.machine().host(), Ledger(node.paths))


def _conflicts(_steps: tuple[Step, ...], held: Mapping[str, Entry]) -> Iterable[Finding]:
    for resource, other in held.items():
        names = ", ".join(other.holders.values())
        message = f"{resource} is held by {names}, which wants it otherwise."
        yield Finding("resource.conflict", message, Severity.BLOCK, hint="See who holds what with: vfioctl status")


def _foretold(plan: Plan, beside: tuple[Error, ...], *, dry_run: bool) -> Result:
    """What would be done; refused when something blocks it. What is `beside` it explains that, and comes first."""
    errors = tuple(
        Error(item.code, item.message, NOTHING_CHANGED, (item.hint,) if item.hint else ()) for item in plan.blocks
    )
    return refused(_data(plan, dry_run=dry_run), (*beside, *errors) if errors else ()).saying(*_warnings(plan))


def _beside(paths: Paths, plan: Plan) -> Iterator[Error]:
    """The operations on the same subject that are not finished: what they have made so far is in the way."""
    for key in open_uuids(paths):
        try:
            story = read_both(paths, key)
        except VfioctlError:  # `status` says what is wrong with it
            continue
        if story and story.plan.subject == plan.subject:
            text = f"{runner.name_of(story.plan)} is not finished, it stands at {story.standing}."
            yield Error("operation.beside", text, NOTHING_CHANGED, BESIDE)


def _here(call: Call, node: Composition, draft: Draft, *, quiet: bool = False) -> Result:
    told = Told(call.caller, node.observe, quiet=quiet)
    try:
        ended = runner.here(replace(node, observe=told), draft.plan, again=draft.again, shared=not call.caller.alone)
    except KeyboardInterrupt:
        raise _given_up(node, draft.plan) from None
    return _ended(node.paths, ended).saying(*_unheard(told))


def _unheard(told: Told) -> Iterator[Message]:
    if told.fault:
        why = reason(told.fault) or type(told.fault).__name__
        yield Message(f"Not all of its steps could be told: {why}.", "warning")


def _given_up(node: Composition, plan: Plan) -> Interrupted:
    """What was begun is undone, unless nothing takes it back; a second ^C leaves its end to `recover`."""
    try:
        from vfioctl.txn import recover

        said = recover.settle(node, plan.key, given_up=True)
        return Interrupted(f"Interrupted. {_nothing_open(node.paths, plan) if said == recover.NOTHING else said}")
    except Terminated:  # asks for what is being done
        return _given_up(node, plan)
    except KeyboardInterrupt:
        return Interrupted(f"Interrupted twice: {_left(node.paths, plan)}. Do it with: vfioctl recover")


def _nothing_open(paths: Paths, plan: Plan) -> str:
    """What is said of one that has no journal: it ended before it could be given up, or never began."""
    name, record = runner.name_of(plan), history.find(paths, plan.key)
    return f"{name} had ended already: {record.message}." if record else f"{name} had not begun, or has ended."


def _left(paths: Paths, plan: Plan) -> str:
    story = read_both(paths, plan.key)
    goes_on = plan.unfinished is Unfinished.FINISH and story is not None and story.standing is Standing.APPLYING
    return f"{runner.name_of(plan)} is not {'finished' if goes_on else 'undone'}"


def _ended(paths: Paths, ended: Ended) -> Result:
    plan = ended.plan
    record = history.find(paths, plan.key)
    data = _data(plan, ended=True, ok=ended.error is None, record=record.id if record else None)
    said = (*_warnings(plan), *(Message(text, "warning") for text in (*ended.warnings, *ended.left)))
    if ended.error is None:
        return Result(data=data).saying(*said)
    return replace(failed("", ended.error), data=data).saying(*said)


def _apart(call: Call, node: Composition, draft: Draft) -> Result:
    runner.apart(node, draft.plan, again=draft.again)
    plan = draft.plan
    result = follow(call, node, plan)
    state = {key: result.data[key] for key in ("ended", "ok", "record") if key in result.data}
    return replace(result, data=_data(plan, **state)).saying(*_warnings(plan))


# ---------------------------------------------------------------- as data


def _data(plan: Plan, *, dry_run: bool = False, **state: Any) -> dict[str, Any]:
    about = {"key": plan.key, "operation": plan.operation, "subject": plan.subject, "id": plan.id}
    return {
        "operation": {**about, "ended": False, "ok": None, "record": None, **state},
        "steps": [step_row(step) for step in plan.steps],
        "dry_run": dry_run,
    }  # fmt: skip


def _warnings(plan: Plan) -> tuple[Message, ...]:
    levels = {Severity.WARN: "warning", Severity.INFO: "info"}
    return tuple(
        Message(item.message, levels[item.severity], item.code, item.hint)
        for item in plan.findings if item.severity in levels
    )  # fmt: skip
