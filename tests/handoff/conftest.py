"""A host on which one guest has been given what it wants, without a simulated kernel."""

from __future__ import annotations

import sys

import pytest
from txn_builders import UUID, proposal

from vfioctl.compose import Composition
from vfioctl.frozen import replace
from vfioctl.handoff.commit import commit
from vfioctl.handoff.holders import Policy
from vfioctl.handoff.planning import Order, plan
from vfioctl.host.host import Host
from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Phase


@pytest.fixture
def here(tmp_path):
    """A host with one attribute to change."""
    (tmp_path / "sys").mkdir()
    (tmp_path / "sys" / "governor").write_text("0\n")
    (tmp_path / "proc").symlink_to("/proc")
    paths = Paths(str(tmp_path))
    return Composition(paths, Programs(paths.programs), (sys.executable, "-c", ""))


@pytest.fixture
def give(here):
    """Gives a guest nothing but the wish for another mode once it runs."""

    def one(guest, uuid, **changes):
        wish = proposal("governor", params={"path": "/sys/governor", "value": "1"}, phase=Phase.RUNNING)
        host, ledger = Host(here.paths, here.programs), Ledger(here.paths)
        made = plan(Order(guest, uuid, (), (wish,), Policy), host, ledger)
        made = replace(made, notes={**made.notes, "drivers": {"nvidia": "535.1"}}, **changes)
        with here.transaction(made) as transaction:
            commit(transaction, host.boot_id())
            transaction.hold()

    return one


@pytest.fixture
def given(here, give):
    """A host on which `win11` has been given what it wants."""
    give("win11", UUID)
    return here
