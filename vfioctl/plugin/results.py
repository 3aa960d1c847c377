"""What a hook may return: checked in type and content, so that nothing odd reaches planner or journal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.kinds import MODULES
from vfioctl.plugin.types import (
    Condition,
    ConfigFile,
    DoctorCheck,
    Finding,
    Frees,
    GpuHandoff,
    Phase,
    Severity,
    SnapshotBackend,
    StepProposal,
    TemplateSource,
)
from vfioctl.txn.kind import kind
from vfioctl.txn.step import strongest

if TYPE_CHECKING:
    from typing import Any, TypeVar

    from vfioctl.txn.step import Promise

    T = TypeVar("T")


class BadResultError(TypeError):
    """A plugin returned what its hook must not; the message says what."""


def one(kind: type[T]) -> Callable[[object], T | None]:
    """A check that lets None and one well-formed `kind` pass."""

    def check(value: object) -> T | None:
        if value is None:
            return None
        if not isinstance(value, kind):
            raise BadResultError(f"{shown(value)} instead of {kind.__name__} or None")
        _check_content(value)
        return value

    return check


def many(kind: type[T]) -> Callable[[object], tuple[T, ...]]:
    """A check that lets None and any number of well-formed `kind` pass."""

    def check(value: object) -> tuple[T, ...]:
        if value is None:
            return ()
        if isinstance(value, str | bytes | dict) or not isinstance(value, Iterable):
            raise BadResultError(f"{shown(value)} instead of several {kind.__name__}")
        items = tuple(value)
        for item in items:
            if not isinstance(item, kind):
                raise BadResultError(f"{shown(item)} among several {kind.__name__}")
            _check_content(item)
        return items

    return check


def kept(check: Callable[[Any], tuple[T, ...]], value: object, what: str) -> tuple[T, ...]:
    """What `check` says of a field, which is read again: a generator would be empty by then."""
    if not isinstance(value, tuple | list):
        raise BadResultError(f"{what} {shown(value)} instead of a tuple of them")
    return check(value)


def checked_steps(value: object) -> tuple[StepProposal, ...]:
    """Well-formed proposals, no two with one id."""
    steps = many(StepProposal)(value)
    _check_ids(steps)
    return steps


def hook_steps(value: object) -> tuple[StepProposal, ...]:
    """The same of a hook, which has not every kind: libvirt waits for it, and its undo is written as shell as well."""
    steps = checked_steps(value)
    for step in steps:
        if barred := kind(step.kind).not_in_hooks(step.params):
            what = "of the kind" if barred == step.kind else "undone by the kind"
            raise BadResultError(f"the step {step.id!r} {what} {barred}, which no hook may have")
    return steps


def _check_content(value: object) -> None:
    match value:
        case StepProposal():
            _check_step(value)
        case Finding():
            _check_finding(value)
        case Condition():
            check_json(value.args, f"the arguments of {value.kind!r}")
        case TemplateSource():
            _check_source(value)
        case ConfigFile():
            _check_file(value)
        case GpuHandoff():
            _check_claim(value, kept(tuple, value.steps, "the steps"))
            kept(many(Condition), value.back, "the conditions")
            kept(many(str), value.covers, "the covered addresses")
        case SnapshotBackend():
            made, gone = (kept(tuple, steps, "the steps") for steps in (value.create, value.delete))
            _check_claim(value, (*made, *gone))
        case DoctorCheck():
            _check_doctor(value)


def _check_claim(claim: GpuHandoff | SnapshotBackend, steps: tuple[object, ...]) -> None:
    if not isinstance(claim.rank, int):
        raise BadResultError(f"the rank {shown(claim.rank)}")
    hook_steps(steps)
    kept(many(Finding), claim.findings, "the findings")


def _check_doctor(check: DoctorCheck) -> None:
    if not isinstance(check.name, str) or not isinstance(check.summary, str) or not callable(check.run):
        raise BadResultError(f"the check {shown(check.name)} without name, summary or what runs it")
    if not isinstance(check.fixers, Mapping) or not isinstance(check.commands, Mapping):
        raise BadResultError(f"the check {check.name!r}, whose fixers and commands are no mappings")


def _check_ids(steps: tuple[StepProposal, ...]) -> None:
    seen: set[str] = set()
    for step in steps:
        if step.id in seen:
            raise BadResultError(f"two steps with the id {step.id!r}")
        seen.add(step.id)


def _check_step(step: StepProposal) -> None:
    if not isinstance(step.id, str) or not step.id:
        raise BadResultError(f"a step with the id {shown(step.id)}")
    if step.kind not in MODULES:
        raise BadResultError(f"the step {step.id!r} of the unknown kind {shown(step.kind)}")
    if not isinstance(step.phase, Phase):
        raise BadResultError(f"the step {step.id!r} in the phase {shown(step.phase)}")
    if not isinstance(step.reason, str) or not isinstance(step.deadline, int | float) or step.deadline <= 0:
        raise BadResultError(f"the step {step.id!r} without a reason and a deadline")
    for others in (step.before, step.after):
        if not isinstance(others, tuple) or not all(isinstance(other, str) for other in others):
            raise BadResultError(f"the step {step.id!r} whose before and after are not tuples of ids")
    _check_promises(step)
    kept(many(Frees), step.frees, "what it frees,")
    kept(many(Frees), step.releases, "what it releases,")
    check_json(step.params, f"the parameters of {step.id!r}")
    if wrong := kind(step.kind).unfit(step.params):
        raise BadResultError(f"the step {step.id!r} of the kind {step.kind}: {wrong}")


def _check_promises(step: StepProposal) -> None:
    """A step may promise what its kind does, or more."""
    form = kind(step.kind)
    _check_promise(step, step.scope, form.scope)
    _check_promise(step, step.lifetime, form.lifetime)


def _check_promise(step: StepProposal, asked: Promise | None, least: Promise) -> None:
    if asked is None:
        return
    if not isinstance(asked, type(least)):
        raise BadResultError(f"the step {step.id!r} with {shown(asked)} instead of a {type(least).__name__}")
    if strongest(least, asked) is not asked:
        raise BadResultError(f"the step {step.id!r}, which promises {asked}, though {step.kind} promises {least}")


def _check_finding(finding: Finding) -> None:
    if not isinstance(finding.severity, Severity) or not all(
        isinstance(text, str) for text in (finding.code, finding.message, finding.hint)
    ):
        raise BadResultError(f"the finding {shown(finding.code)} without code, message, severity or hint")


def _check_source(source: TemplateSource) -> None:
    texts = (source.name, source.system, source.version, source.architecture, source.url, source.checksums)
    if not all(isinstance(text, str) and text for text in texts):
        raise BadResultError(f"the source {shown(source.name)} without name, system, version, architecture or address")
    hosts = [url.split("/")[2] for url in (source.url, source.checksums) if url.startswith("https://")]
    if len(hosts) < len((source.url, source.checksums)) or len(set(hosts)) != 1:
        raise BadResultError(f"the source {source.name!r}, whose addresses are not of https and of one host")


def _check_file(file: ConfigFile) -> None:
    if not isinstance(file.path, str) or not file.path.startswith("/"):
        raise BadResultError(f"the file {shown(file.path)}, which is no whole path")
    kept(many(Finding), file.findings, "the findings")


def check_json(value: Any, what: str) -> None:
    """Raise unless `value` is a JSON object as it is: the journal must give back what was planned."""
    try:
        same = isinstance(value, dict) and json.loads(json.dumps(value)) == value
    except (TypeError, ValueError):
        same = False
    if not same:
        raise BadResultError(f"{what}, which are not a JSON object")


def shown(value: object) -> str:
    return f"{type(value).__name__} {value!r:.80}"
