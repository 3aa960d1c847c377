"""Finishing what another process left, by hand and while libvirt waits."""

from __future__ import annotations

import time

from txn_builders import UUID, step

from vfioctl.handoff import recovery
from vfioctl.log import Log
from vfioctl.txn.journal import read_both
from vfioctl.txn.plan import Action, Budget, Part, ReturnItem
from vfioctl.txn.step import Phase

NEVER = {"condition": {"kind": "path.exists", "args": {"path": "/never"}}}


def test_a_return_that_a_start_has_to_finish_first_gets_no_more_time_than_a_release(here, give):
    proof = step("proof", kind="wait.until", params=NEVER, resource="", phase=Phase.RETURN, deadline=60.0)
    item = ReturnItem("proof", Action.APPLY, Part.DETACHED)
    give("win11", UUID, returns=(proof,), way_back=(item,), budget=Budget(release=0.5, finish=60.0))
    began = time.monotonic()
    recovery.recover(here, UUID, Log(here.paths, stderr=None), in_hook=True)
    assert time.monotonic() - began < 10
    assert read_both(here.paths, UUID) is None
