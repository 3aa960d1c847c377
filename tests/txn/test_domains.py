"""An operation that changes a domain, beside the one that has the domain's UUID as its key: one of them waits."""

from __future__ import annotations

import os
import threading

import pytest
from txn_builders import OTHER, UUID, plan, step

from vfioctl.compose import compose
from vfioctl.errors import Busy, Refused
from vfioctl.frozen import replace
from vfioctl.handoff.notes import guest_lock
from vfioctl.txn import judge, runner
from vfioctl.txn.journal import Standing, read_both
from vfioctl.txn.locks import plan_locks
from vfioctl.txn.plan import Plan
from vfioctl.txn.resources import domain, resource_locks

DOMAIN = domain(UUID)
NEVER_SECONDS = 60.0
UNDER_WAY = (Standing.APPLYING, Standing.UNDOING, Standing.RETURNING)


def changing(**fields):
    """An operation on the domain of the guest."""
    return Plan(operation="test", subject="guest:win11", key=OTHER, steps=(step("a", resource=DOMAIN),), **fields)


@pytest.fixture
def here(tmp_path):
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("boot-1\n")
    return compose(str(tmp_path))


def stands(here, *standings):
    """The guest's hand-off, without a process."""
    with here.transaction(plan(step("h"))) as transaction:
        transaction.begin("boot-1")
        for standing in standings:
            transaction.journal.standing(standing)


def locked(here, *, deadline=0.0, **how):
    with plan_locks(here.paths, changing(), deadline=deadline, **how) as fds:
        return len(fds)


def refused(here):
    with pytest.raises(Busy):
        locked(here, deadline=1.0)


def test_nothing_is_looked_for_beside_an_operation_on_no_domain(here):
    stands(here, Standing.APPLYING)
    with plan_locks(here.paths, plan(step("a"), uuid=OTHER), deadline=0.0) as fds:
        assert len(fds) == 1


def test_a_guest_that_has_its_devices_keeps_nobody_off_its_domain(here):
    stands(here, Standing.HELD)
    assert locked(here) == 1


def test_a_hook_that_works_on_the_guest_is_waited_for(here):
    lock = guest_lock(here.paths, UUID)
    lock.acquire()
    with pytest.raises(Busy, match=r"^The domain of guest:win11 is worked on by process \d+\."):
        locked(here, deadline=0.05)
    threading.Timer(0.2, lock.release).start()
    assert locked(here, deadline=NEVER_SECONDS) == 1


def test_while_it_waits_nobody_is_kept_off_the_domain(here):
    with guest_lock(here.paths, UUID):
        waiting = threading.Thread(target=refused, args=(here,))
        waiting.start()
        with resource_locks(here.paths, (DOMAIN,), deadline=0.9):
            pass
        waiting.join()


@pytest.mark.parametrize("standing", UNDER_WAY)
def test_one_that_was_interrupted_is_named(here, standing):
    stands(here, standing)
    with pytest.raises(Refused) as caught:
        locked(here)
    said = f"test guest:win11 was refused: hand-off win11 is not finished, it stands at {standing}."
    assert (caught.value.code, caught.value.message) == ("operation.beside", said)
    assert caught.value.state == "Nothing was changed."
    assert caught.value.hints[-1] == "Finish what was interrupted with: vfioctl recover"


def test_the_detached_part_of_a_return_is_waited_for_before_it_has_come(here):
    stands(here, Standing.RETURNING)
    threading.Timer(0.2, here.transaction(plan(step("h"))).reopen().forget).start()
    assert locked(here, deadline=NEVER_SECONDS) == 1


def test_one_from_before_a_restart_is_named_although_it_had_everything(here):
    stands(here, Standing.HELD)
    os.makedirs(os.path.dirname(here.paths.disk_journal(UUID)), exist_ok=True)
    os.rename(here.paths.boot_journal(UUID), here.paths.disk_journal(UUID))
    with pytest.raises(Refused, match="it stands at given"):
        locked(here)


def test_what_was_interrupted_keeps_no_recovery_from_another_operation(here):
    stands(here, Standing.APPLYING)
    assert locked(here, beside_ruins=True) == 1


def test_an_operation_that_meets_one_has_touched_nothing(here):
    stands(here, Standing.APPLYING)
    for begin in (runner.here, runner.queue):
        with pytest.raises(Refused, match="hand-off win11 is not finished"):
            begin(here, changing())
        assert read_both(here.paths, OTHER) is None


def test_two_operations_on_one_domain_are_one_after_the_other(here):
    with plan_locks(here.paths, changing(), deadline=0.0), pytest.raises(Busy, match=r"^The domain is worked on by "):
        locked(here)


def test_what_a_plan_expects_is_a_list_of_names():
    assert judge.problem_of(replace(changing(), notes={"expects": [DOMAIN]}), OTHER) == ""
    assert "expects" in judge.problem_of(replace(changing(), notes={"expects": 7}), OTHER)
