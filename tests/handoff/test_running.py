"""Steps that follow the start: best effort, and taken back with everything else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from txn_builders import UUID, proposal

from vfioctl.compose import Composition
from vfioctl.handoff import markers, release
from vfioctl.handoff.commit import commit
from vfioctl.host.host import Host
from vfioctl.log import Log
from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.txn.holders import Policy
from vfioctl.txn.journal import Journal, Standing, read_both
from vfioctl.txn.planner import Order, plan
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Phase


@pytest.fixture
def given(tmp_path):
    """A host on which `win11` has been given nothing but the wish for another mode once it runs."""
    paths = Paths(str(tmp_path))
    governor = tmp_path / "sys" / "governor"
    governor.parent.mkdir()
    governor.write_text("0\n")
    (tmp_path / "proc").symlink_to("/proc")
    here = Composition(paths, Programs(paths.programs), (sys.executable, "-c", ""))
    wish = proposal("governor", params={"path": "/sys/governor", "value": "1"}, phase=Phase.RUNNING)
    order = Order("win11", UUID, (), (wish,), Policy())
    with Journal(paths, UUID) as journal:
        commit(here, plan(order, Host(paths, here.programs), Ledger(paths)), journal, Ledger(paths), "boot-1")
        journal.standing(Standing.GIVEN)
    return here


def governor(here: Composition) -> str:
    return Path(here.paths.at("sys/governor")).read_text().strip()


def test_what_a_step_changed_after_the_start_goes_back_to_its_baseline(given):
    log = Log(given.paths, stderr=None)
    release.started(given, "win11", log)
    assert governor(given) == "1"
    markers.set_mark(given.paths, "win11", markers.RELEASED)
    with Journal(given.paths, UUID) as journal:
        journal.reopen()
        journal.standing(Standing.RETURNING)
    release.finish(given, UUID, log)
    assert governor(given) == "0"
    assert read_both(given.paths, UUID) is None


def test_what_it_changes_is_held_as_long_as_the_guest_runs(given):
    assert [entry.holders for entry in Ledger(given.paths).entries()] == [{UUID: "win11"}]
