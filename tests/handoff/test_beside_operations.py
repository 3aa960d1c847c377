"""The hook of a guest and an operation on its domain, in both orders: one waits, or is refused by name."""

from __future__ import annotations

import os
import threading

import pytest
from hand_offs import BY_NAME, stage
from txn_builders import OTHER, step

from vfioctl.errors import Busy, Refused
from vfioctl.testing.domains import UUID
from vfioctl.testing.entry import composition
from vfioctl.txn import recover, runner
from vfioctl.txn.journal import Standing, read_both
from vfioctl.txn.plan import Plan, Unfinished
from vfioctl.txn.resources import DOMAIN, domain, resource_locks
from vfioctl.txn.step import Lifetime, Scope

REFUSED = 3
NAME = "snapshot.create guest:win11"


@pytest.fixture
def on(tmp_path):
    with stage(BY_NAME["generic"], tmp_path) as one:
        yield one


@pytest.fixture
def node(on):
    return composition(on.root)


def operation(uuid=UUID, *resources, unfinished=Unfinished.UNDO, **notes):
    """One that changes the domain `uuid`."""
    changes = step(
        "define", kind="command.run", params={"argv": ["true"], "undo_argv": ["true"]}, resource="command:true",
        baseline={}, touches=(domain(uuid), *resources), scope=Scope.TRANSACTION, lifetime=Lifetime.DISK,
    )  # fmt: skip
    return Plan("snapshot.create", "guest:win11", OTHER, steps=(changes,), unfinished=unfinished, notes=notes)


def interrupted(node, plan):
    """Its process is gone, in the middle of its work."""
    with node.transaction(plan) as transaction:
        transaction.begin(node.machine().host().boot_id())


# The operation first


@pytest.mark.parametrize("begin", [runner.queue, interrupted], ids=["queued", "interrupted"])
def test_a_guest_is_not_started_while_an_operation_has_its_domain(on, node, begin):
    begin(node, operation())
    refused = on.prepare()
    standing = Standing.QUEUED if begin is runner.queue else Standing.APPLYING
    assert refused.status == REFUSED
    assert f"win11 was not started: {NAME} works on it (it stands at {standing})." in refused.stderr
    assert f"vfioctl operation follow {OTHER}" in refused.stderr
    assert on.story() is None
    assert on.last()["code"] == "guest.in_operation"


def test_it_starts_once_the_operation_has_ended(on, node):
    interrupted(node, operation())
    assert on.prepare().status == REFUSED
    recover.settle(node, OTHER)
    assert on.prepare().status == 0


def test_one_from_before_a_restart_is_found_as_well(on, node):
    interrupted(node, operation())
    on.host.reboot()
    assert not os.path.exists(node.paths.boot_journal(OTHER))
    assert on.prepare().status == REFUSED


def test_an_operation_on_another_domain_stops_nobody(on, node):
    interrupted(node, operation("11111111-0000-0000-0000-000000000000"))
    assert on.prepare().status == 0


def test_a_guest_that_the_operation_starts_itself_is_started(on, node):
    plan = operation(expects=[domain(UUID)])
    interrupted(node, plan)
    with resource_locks(node.paths, plan.resources, deadline=0.0):  # as it has while its step calls libvirt
        assert on.prepare().status == 0
    assert on.story().standing is Standing.HELD


def test_a_process_that_has_locked_the_domain_gets_a_moment_to_say_what_for(on, node):
    with resource_locks(node.paths, (domain(UUID),), deadline=0.0):
        refused = on.prepare()
    assert refused.status == REFUSED
    assert "win11 was not started: a process that says no more has its domain." in refused.stderr


def test_one_that_lets_go_of_it_is_no_obstacle(on, node):
    locks = resource_locks(node.paths, (domain(UUID),), deadline=0.0)
    locks.__enter__()
    threading.Timer(0.5, locks.__exit__, (None, None, None)).start()
    assert on.prepare().status == 0


def test_what_needs_libvirt_is_not_ended_by_a_hook(on, node):
    """The hook of another guest, which shares something with it: libvirt would wait for the hook, and that for it."""
    other, shared = "11111111-0000-0000-0000-000000000000", f"pci:{on.scenario.addresses[0]}"
    interrupted(node, operation(other, shared))
    refused = on.prepare()
    assert refused.status == REFUSED
    assert f"{NAME} is not finished, and needs libvirt for that." in refused.stderr
    assert read_both(node.paths, OTHER).standing is Standing.APPLYING


# The hook first


def test_an_operation_waits_for_a_start_and_then_works_on_the_guest_that_runs(on, node):
    on.pause_at(2)
    with on.paused_hook("prepare") as start:
        with pytest.raises(Busy, match="The domain of guest:win11 is worked on by process"):
            short(node, operation())
        ended = []
        waits = threading.Thread(target=lambda: ended.append(runner.here(node, operation())))
        waits.start()
    assert start.wait().status == 0
    waits.join(60)
    assert ended[0].error is None


def test_it_is_refused_by_name_where_the_start_was_interrupted(on, node):
    on.crash_at(3)
    on.prepare()
    on.crash_at(None)
    with pytest.raises(Refused, match="hand-off win11 is not finished, it stands at applying") as caught:
        runner.here(node, operation())
    assert caught.value.code == "operation.beside"
    assert read_both(node.paths, OTHER) is None


def test_a_guest_that_has_its_card_keeps_no_operation_off_its_domain(on, node):
    assert on.start().status == 0
    assert runner.here(node, operation()).error is None
    on.stop()
    assert on.differences() == ()


def test_the_hook_path_looks_for_one_file_where_nobody_has_changed_a_domain(on, node):
    assert on.prepare().status == 0
    assert not [name for name in os.listdir(node.paths.locks) if name.startswith(DOMAIN)]


def short(node, plan):
    from vfioctl.txn.locks import plan_locks

    with plan_locks(node.paths, plan, deadline=0.1):
        pass
