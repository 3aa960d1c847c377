"""The order of steps is a function of the proposals, not of who was asked first."""

from __future__ import annotations

import time
from itertools import permutations

import pytest
from txn_builders import proposal

from vfioctl.errors import Refused
from vfioctl.txn.ordering import Proposed, merged, ordered
from vfioctl.txn.step import Frees, Phase, StepProposal


def ids(proposals):
    return [item.step.id for item in ordered(proposals)]


def test_phases_come_in_their_order():
    proposals = [proposal(phase.value, phase=phase) for phase in reversed(Phase)]
    assert ids(proposals) == [phase.value for phase in Phase]


def test_after_and_before_are_honoured_across_plugins():
    proposals = [
        proposal("a", plugin="one", after=("b",)), proposal("b", plugin="two", after=("c",)),
        proposal("c", plugin="three"), proposal("d", plugin="four", before=("c",)),
    ]  # fmt: skip
    assert ids(proposals) == ["d", "c", "b", "a"]


def test_the_order_in_which_plugins_were_asked_does_not_matter():
    proposals = [proposal(name, plugin=name) for name in "dbca"]
    assert {tuple(ids(list(order))) for order in permutations(proposals)} == {("a", "b", "c", "d")}


def test_what_cannot_be_undone_comes_as_late_as_the_order_allows():
    reset = proposal("reset", kind="device.reset", params={"address": "0000:01:00.0"})
    assert ids([reset, proposal("exact")]) == ["exact", "reset"]


def test_naming_an_absent_step_is_fine():
    assert ids([proposal("a", after=("nobody",), before=("nothing",))]) == ["a"]


def test_a_cycle_names_both_plugins():
    with pytest.raises(Refused) as caught:
        ordered([proposal("a", plugin="one", after=("b",)), proposal("b", plugin="two", after=("a",))])
    assert caught.value.code == "plan.cycle"
    assert "plugin one" in caught.value.message
    assert "plugin two" in caught.value.message


def test_twins_become_one_step_that_releases_for_both():
    unit = {"unit": "x.service"}
    one = proposal("a", kind="unit.stop", params=unit, frees=(Frees(unit="x.service"),))
    of_api_1 = {"releases": (Frees(pid=7, start_time=9),)}
    two = proposal("b", kind="unit.stop", params=unit, plugin="other", **of_api_1)
    (united,) = merged([one, two])
    assert united.step.id == "a"
    assert united.step.frees == (Frees(unit="x.service"), Frees(pid=7, start_time=9))


@pytest.mark.parametrize(("one", "two", "both"), [(5.0, 9.0, 9.0), (5.0, 0.0, 0.0), (0.0, 0.0, 0.0)])
def test_twins_are_as_patient_with_a_stall_as_the_more_patient_one(one, two, both):
    params = {"path": "/sys/x", "value": "1"}
    twins = [proposal("a", plugin="a", params=params, stall=one), proposal("b", plugin="b", params=params, stall=two)]
    (united,) = merged(twins)
    assert united.step.stall == both


@pytest.mark.parametrize("asked_first", ["aaa", "bbb"])
def test_what_waits_for_a_step_waits_for_the_twin_that_it_became(asked_first):
    stop = {"kind": "unit.stop", "params": {"unit": "x.service"}}
    late = proposal("bbb.late", plugin="bbb", after=("bbb.stop",))
    early = proposal("aaa.early", plugin="ccc", before=("aaa.stop",))
    twins = [proposal(f"{name}.stop", plugin=name, **stop) for name in ("aaa", "bbb")]
    twins = twins if asked_first == "aaa" else twins[::-1]
    assert ids(merged([late, *twins, early])) == ["aaa.early", twins[0].step.id, "bbb.late"]


def test_twins_that_name_each_other_are_no_cycle():
    stop = {"kind": "unit.stop", "params": {"unit": "x.service"}}
    first, second = proposal("a", before=("b",), **stop), proposal("b", plugin="other", after=("a",), **stop)
    assert ids(merged([first, second])) == ["a"]


def test_two_wishes_for_one_resource_are_refused_with_both_plugins():
    one = proposal("a", plugin="one", params={"path": "/sys/x", "value": "1"})
    two = proposal("b", plugin="two", params={"path": "/sys/x", "value": "2"})
    with pytest.raises(Refused, match="one and two") as caught:
        merged([one, two])
    assert caught.value.code == "plan.conflict"


def test_one_id_for_two_steps_is_refused():
    with pytest.raises(Refused) as caught:
        merged([proposal("a"), proposal("a", params={"path": "/sys/y", "value": "1"})])
    assert caught.value.code == "plan.duplicate"


def test_the_order_of_many_steps_costs_as_they_are_many():
    """A guest with 400 disks, and 20 old snapshots of each, has 8,000."""

    def cost(count: int) -> float:
        steps = [
            Proposed("p", StepProposal(
                id=f"s{number}", kind="command.run", params={"argv": [str(number)]}, reason="", phase=Phase.BEFORE,
                after=(f"s{number - 1}",) if number % 2 else (),
            ))
            for number in range(count)
        ]  # fmt: skip
        began = time.process_time()
        assert [item.step.id for item in ordered(steps)] == [f"s{number}" for number in range(count)]
        return time.process_time() - began

    limit = 40 * max(cost(1_000), 0.01)  # each for each other: 64 times
    assert cost(8_000) < limit or cost(8_000) < limit  # the collector of garbage may add its own to one
