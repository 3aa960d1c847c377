"""Finishing what another process left, by hand and while libvirt waits."""

from __future__ import annotations

import time

import pytest
from hand_offs import BY_NAME, GPU, stage
from recoveries import as_before, run_undo_sh
from txn_builders import UUID, step

from vfioctl.limits import Limits
from vfioctl.log import Log
from vfioctl.txn import recover
from vfioctl.txn.history import read_all
from vfioctl.txn.journal import read_both
from vfioctl.txn.plan import Action, Part, ReturnItem
from vfioctl.txn.step import Phase

NEVER = {"condition": {"kind": "path.exists", "args": {"path": "/never"}}}


def test_a_return_that_a_start_has_to_finish_first_gets_no_more_time_than_a_release(here, give):
    proof = step("proof", kind="wait.until", params=NEVER, resource="", phase=Phase.RETURN, deadline=60.0)
    item = ReturnItem("proof", Action.APPLY, Part.DETACHED)
    give("win11", UUID, returns=(proof,), way_back=(item,), limits=Limits(release=0.5, finish=60.0))
    began = time.monotonic()
    recover.settle(here, UUID, log=Log(here.paths, stderr=None), hurried=True)
    assert time.monotonic() - began < 10
    assert read_both(here.paths, UUID) is None


# A display manager that was started before its card came home

QUICK = "[display-manager]\nverify_deadline = 3\n"


@pytest.fixture
def greeter(tmp_path):
    with stage(BY_NAME["nvidia-greeter"], tmp_path) as on:
        on.set_guest_file(QUICK)
        yield on


def start_it_too_early(on):
    """Somebody starts the display manager while the guest has the card: it stays active, and draws on nothing."""
    assert on.host.programs.run(("systemctl", "start", "lightdm.service"), deadline=10).ok
    assert "Xorg" not in [process["comm"] for process in on.host.kernel.processes()]


def test_a_display_manager_that_was_started_too_early_is_restarted_by_the_return(greeter):
    greeter.start()
    start_it_too_early(greeter)
    greeter.stop()
    as_before(greeter)
    (step,) = [step for step in read_all(greeter.host.paths).runs[0].steps if step.kind == "unit.restart"]
    assert step.outcome == f"it ran, but not so that somebody holds {GPU}: it was restarted"


def test_one_that_undo_sh_found_running_is_restarted_by_recover(greeter):
    greeter.start()
    greeter.guest_ends()
    start_it_too_early(greeter)
    run_undo_sh(greeter)
    assert greeter.command("recover").returncode == 0
    as_before(greeter)


@pytest.mark.parametrize("standing", ["killed", "released"])
def test_one_that_was_started_in_the_middle_of_a_killed_start_is_restarted(greeter, standing):
    greeter.crash_at(26)
    greeter.prepare()
    greeter.crash_at(None)
    start_it_too_early(greeter)
    if standing == "killed":
        shown = greeter.command("recover").stdout
        assert "lightdm.service" in shown
    else:
        greeter.libvirt.gone("win11", greeter.xml)
        assert greeter.wait_for_return()
    as_before(greeter)


def test_without_its_card_it_is_not_restarted(greeter):
    greeter.start()
    start_it_too_early(greeter)
    greeter.host.kernel.fail_probe(GPU, "nvidia")
    greeter.stop()
    assert not [call for call in greeter.host.kernel.calls() if "restart" in call["argv"]]
