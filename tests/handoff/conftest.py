"""A host on which one guest has been given what it wants, without a simulated kernel."""

from __future__ import annotations

import sys

import pytest
from txn_builders import UUID, proposal

from vfioctl.compose import Composition
from vfioctl.frozen import replace
from vfioctl.handoff.commit import commit
from vfioctl.host.host import Host
from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.txn.holders import Policy
from vfioctl.txn.journal import Journal, Standing
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
    made = replace(plan(order, Host(paths, here.programs), Ledger(paths)), drivers={"nvidia": "535.1"})
    with Journal(paths, UUID) as journal:
        commit(here, made, journal, Ledger(paths), "boot-1")
        journal.standing(Standing.GIVEN)
    return here
