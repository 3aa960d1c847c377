"""What the planner adds to a proposal: the mark of what it makes, and how long its undo is promised."""

from __future__ import annotations

import os
import sys

import pytest
from step_builders import plain_machine, put
from txn_builders import OTHER, UUID, proposal

from vfioctl.frozen import replace
from vfioctl.handoff.holders import Policy
from vfioctl.handoff.planning import Order, plan
from vfioctl.host.model import PciDevice
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Lifetime, Scope, Undo

COPY = {"kind": "file.copy", "params": {"source": "/var/lib/a", "dest": "/var/lib/b"}}
COMMAND = {"kind": "command.run", "params": {"argv": [sys.executable], "undo_argv": [sys.executable]}}


@pytest.fixture
def machine(tmp_path):
    one = plain_machine(str(tmp_path))
    put(one.paths.at("var/lib/a"), "variables")
    return one


def planned(machine, *proposals, uuid=UUID, **fields):
    order = Order("win11", uuid, (), proposals, Policy, **fields)
    return plan(order, machine.host(), Ledger(machine.paths))


def test_each_plan_has_an_id_of_its_own_and_what_it_makes_bears_it(machine):
    plans = [planned(machine, proposal("copy", **COPY)) for _ in range(2)]
    assert len({one.id for one in plans}) == 2
    for one in plans:
        assert one.steps[0].baseline["operation"] == one.id


def test_the_id_may_be_chosen_before(machine):
    assert planned(machine, proposal("a"), id="3f9ac2d1").id == "3f9ac2d1"


def test_what_makes_nothing_has_no_mark(machine):
    assert "operation" not in planned(machine, proposal("command", **COMMAND)).steps[0].baseline


def test_what_another_guest_has_made_and_both_need_bears_the_first_ones_mark(machine):
    first = planned(machine, proposal("copy", **COPY), uuid=OTHER)
    Ledger(machine.paths).join(first.steps[0], OTHER, "other")
    assert planned(machine, proposal("copy", **COPY)).steps[0].baseline["operation"] == first.id


@pytest.mark.parametrize("scope", [None, *Scope])
@pytest.mark.parametrize("lifetime", [None, *Lifetime])
def test_a_step_promises_what_its_kind_does_or_more(machine, scope, lifetime):
    wishes = {"scope": scope, "lifetime": lifetime}
    made = planned(machine, proposal("copy", **COPY, **wishes), proposal("command", **COMMAND, **wishes))
    copy, command = made.step("copy"), made.step("command")
    assert (copy.scope, copy.lifetime) == (scope or Scope.TRANSACTION, Lifetime.DISK)
    assert (command.scope, command.lifetime) == (Scope.LEASE, lifetime or Lifetime.BOOT)


def test_the_stronger_of_two_equal_wishes_counts(machine):
    weak, strong = (proposal(name, **COMMAND, lifetime=Lifetime(kept)) for name, kept in (("a", "boot"), ("b", "disk")))
    for pair in ((weak, strong), (strong, weak), (replace(weak, step=replace(weak.step, lifetime=None)), strong)):
        (step,) = planned(machine, *pair).steps
        assert step.lifetime is Lifetime.DISK


@pytest.mark.parametrize(("undo_argv", "undo"), [([sys.executable], Undo.RECREATED), ([], Undo.NONE)])
def test_a_command_is_one_way_where_it_has_no_undo_command(machine, undo_argv, undo):
    params = {"argv": [sys.executable], "undo_argv": undo_argv}
    assert planned(machine, proposal("x", kind="command.run", params=params)).steps[0].undo is undo


def test_a_copy_for_the_lease_is_taken_back_by_the_return(machine):
    made = planned(machine, proposal("copy", **COPY, scope=Scope.LEASE))
    assert [item.step for item in made.way_back] == ["copy"]
    assert os.path.exists(machine.paths.at("var/lib/a"))


PF, VF = "0000:03:00.0", "0000:03:10.2"
PHYSICAL = PciDevice(PF, 0x020000, 0x8086, 0x1521, virtual=(VF,))
VIRTUAL = PciDevice(VF, 0x020000, 0x8086, 0x1520, physical=PF)


@pytest.mark.parametrize(("wanted", "held"), [(PHYSICAL, VF), (VIRTUAL, PF)], ids=["physical", "virtual"])
def test_a_physical_function_and_its_virtual_one_do_not_go_to_two_guests(machine, wanted, held):
    step = replace(planned(machine, proposal("a")).steps[0], resource=f"pci:{held}")
    Ledger(machine.paths).join(step, OTHER, "other")
    order = Order("win11", UUID, (wanted,), (), Policy)
    (found,) = plan(order, machine.host(), Ledger(machine.paths)).blocks
    assert found.code == "resource.held"
    assert held in found.message
    assert "guest other" in found.message
    assert plan(replace(order, uuid=OTHER), machine.host(), Ledger(machine.paths)).blocks == ()
