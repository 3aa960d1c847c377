"""What hooks may return: everything else is named and dropped before it reaches the planner."""

from __future__ import annotations

import pytest

from vfioctl.plugin.results import BadResultError, checked_steps, many, one
from vfioctl.plugin.types import (
    Condition,
    DoctorCheck,
    Finding,
    Frees,
    GpuHandoff,
    Lifetime,
    Scope,
    SnapshotBackend,
    StepProposal,
)

WAIT = {"condition": {"kind": "path.exists", "args": {"path": "/"}}}
STEP = StepProposal("x", "wait.until", WAIT, "because")


def test_nothing_is_a_fine_answer():
    assert one(GpuHandoff)(None) is None
    assert many(Finding)(None) == ()
    assert checked_steps(None) == ()


def test_well_formed_answers_pass_as_they_are():
    claim = GpuHandoff("p", "0000:01:00.0", 50, (STEP,), back=(Condition("path.exists", {"path": "/x"}),))
    assert one(GpuHandoff)(claim) is claim
    backend = SnapshotBackend("p", "vda", 1, (STEP,), delete=(StepProposal("y", "wait.until", WAIT, "because"),))
    assert one(SnapshotBackend)(backend) is backend
    check = DoctorCheck("c", "s", lambda host: ())
    assert many(DoctorCheck)(iter([check])) == (check,)


@pytest.mark.parametrize("value", ["text", b"bytes", {"a": 1}, 7, [STEP, None], [7]])
def test_what_is_not_several_steps_is_refused(value):
    with pytest.raises(BadResultError):
        checked_steps(value)


@pytest.mark.parametrize(
    "claim",
    [
        GpuHandoff("p", "a", "high", ()),
        GpuHandoff("p", "a", 1, ("step",)),
        GpuHandoff("p", "a", 1, (STEP, STEP)),
        GpuHandoff("p", "a", 1, (), back=("home",)),
        GpuHandoff("p", "a", 1, (), back=(Condition("path.exists", {"path": object()}),)),
        GpuHandoff("p", "a", 1, (), findings=("wrong",)),
        GpuHandoff("p", "a", 1, (step for step in (STEP,))),
        GpuHandoff("p", "a", 1, (), back=None),
        GpuHandoff("p", "a", 1, (), covers=None),
        GpuHandoff("p", "a", 1, (), findings=None),
    ],
)
def test_a_claim_with_a_malformed_part_is_refused(claim):
    with pytest.raises(BadResultError):
        one(GpuHandoff)(claim)


def test_a_snapshot_backend_may_not_use_one_id_twice():
    with pytest.raises(BadResultError, match="two steps"):
        one(SnapshotBackend)(SnapshotBackend("p", "vda", 1, (STEP,), delete=(STEP,)))


@pytest.mark.parametrize(
    "finding", [Finding("x.y", "m", severity="block"), Finding(7, "m"), Finding("x.y", "m", hint=None)]
)
def test_a_malformed_finding_is_refused(finding):
    with pytest.raises(BadResultError):
        many(Finding)([finding])


def test_a_release_that_is_none_is_refused():
    with pytest.raises(BadResultError):
        checked_steps([StepProposal("x", "wait.until", WAIT, "because", frees=("lightdm.service",))])
    assert checked_steps([StepProposal("x", "wait.until", WAIT, "because", frees=(Frees(unit="a"),))])


def test_what_a_step_frees_may_have_its_name_of_plugin_api_1():
    from vfioctl.plugin.types import Release

    old = StepProposal("x", "wait.until", WAIT, "because", releases=(Release(unit="a"),))
    assert checked_steps([old])[0].promises == (Frees(unit="a"),)
    with pytest.raises(BadResultError):
        checked_steps([StepProposal("x", "wait.until", WAIT, "because", releases=("lightdm.service",))])


def test_a_reason_is_required():
    with pytest.raises(BadResultError, match="reason"):
        checked_steps([StepProposal("x", "wait.until", {}, None)])


@pytest.mark.parametrize("promise", [
    {"scope": Scope.TRANSACTION}, {"lifetime": Lifetime.BOOT}, {"scope": "lease"}, {"lifetime": "disk"},
])  # fmt: skip
def test_a_step_that_promises_less_than_its_kind_or_in_other_words_is_refused(promise):
    kind = "file.copy" if "lifetime" in promise else "unit.stop"
    with pytest.raises(BadResultError, match="'x'"):
        checked_steps([StepProposal("x", kind, {}, "because", **promise)])


def test_a_step_may_promise_more_than_its_kind():
    steps = (StepProposal("x", "command.run", {"argv": ["true"]}, "because", lifetime=Lifetime.DISK),
             StepProposal("y", "file.copy", {"source": "/a", "dest": "/b"}, "because", scope=Scope.LEASE))  # fmt: skip
    assert checked_steps(steps) == steps


@pytest.mark.parametrize("backend", [
    SnapshotBackend("p", "vda", 1, (step for step in (STEP,))), SnapshotBackend("p", "vda", 1, (), delete=None),
    SnapshotBackend("p", "vda", 1, (), findings=iter(())),
])  # fmt: skip
def test_a_claim_on_a_disk_with_what_can_be_read_only_once_is_refused(backend):
    with pytest.raises(BadResultError, match="instead of a tuple of"):
        one(SnapshotBackend)(backend)


@pytest.mark.parametrize("check", [
    DoctorCheck(7, "s", lambda host: ()), DoctorCheck("c", "s", None),
    DoctorCheck("c", "s", lambda host: (), fixers=None), DoctorCheck("c", "s", lambda host: (), commands=("x",)),
])  # fmt: skip
def test_a_check_with_a_malformed_part_is_refused(check):
    with pytest.raises(BadResultError):
        many(DoctorCheck)((check,))
