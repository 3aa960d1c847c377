"""SIGKILL at every journal boundary, there and back; whoever recovers brings the machine back as it was.

Each case kills the hook (or the detached part) in its own process and ends the hand-off in another one.
"""

from __future__ import annotations

import signal

import pytest
from hand_offs import stage
from recoveries import LEFT_BY_SH, as_before, recover, recover_uninstalled, run_undo_sh
from walks import each_boundary_back, each_boundary_there, walk

pytestmark = pytest.mark.matrix


def case(value) -> str:
    return str(getattr(value, "name", value))


there = pytest.mark.parametrize(("scenario", "number"), tuple(each_boundary_there()), ids=case)
back = pytest.mark.parametrize(("scenario", "number"), tuple(each_boundary_back()), ids=case)
back_in_hook = pytest.mark.parametrize(("scenario", "number"), tuple(each_boundary_back(in_hook=True)), ids=case)
someone = pytest.mark.parametrize("who", [recover, recover_uninstalled], ids=lambda who: who.__name__)


@pytest.fixture
def on(scenario, tmp_path):
    with stage(scenario, tmp_path) as one:
        yield one


@pytest.fixture
def killed_there(on, number):
    """The hook died at boundary `number` of prepare, and the journal tells of exactly so many."""
    on.crash_at(number)
    assert on.prepare().status == -signal.SIGKILL
    assert len(on.boundaries()) == len(on.story().records) == number
    on.crash_at(None)
    return on


@pytest.fixture
def killed_back(on, number):
    """The hook or the detached part died at boundary `number` of the way back, and the journal tells of so many."""
    known = walk(on.scenario)
    assert on.start().status == 0
    on.guest_ends()
    on.crash_at(number)
    assert on.hook("release") == (-signal.SIGKILL if number <= 2 * known.in_hook else 0)
    assert on.wait_for_crash(number)
    assert len(on.boundaries()) == number == len(on.story().records) - 2 * len(known.there)
    on.crash_at(None)
    return on


@someone
@there
def test_a_hand_off_killed_on_its_way_there_is_undone(killed_there, who):
    who(killed_there)
    as_before(killed_there)


@someone
@back
def test_a_return_killed_on_its_way_is_finished(killed_back, who):
    who(killed_back)
    as_before(killed_back, *killed_back.scenario.kept)


@there
def test_a_hand_off_killed_before_a_power_cut_is_undone_after_the_boot(killed_there):
    killed_there.host.reboot()
    recover(killed_there)
    as_before(killed_there)


@back
def test_a_return_killed_before_a_power_cut_is_closed_after_the_boot(killed_back):
    killed_back.host.reboot()
    recover(killed_back)
    as_before(killed_back, *killed_back.scenario.kept)


@there
def test_undo_sh_brings_the_devices_home_without_any_python(killed_there):
    run_undo_sh(killed_there)
    as_before(killed_there, *LEFT_BY_SH, *killed_there.scenario.kept)
    recover(killed_there)
    as_before(killed_there)


@back
def test_undo_sh_finishes_a_return_without_any_python(killed_back):
    kept = killed_back.scenario.kept
    run_undo_sh(killed_back)
    as_before(killed_back, *LEFT_BY_SH, *kept)
    recover(killed_back)
    as_before(killed_back, *kept)


@there
def test_the_release_that_libvirt_sends_after_a_killed_prepare_undoes_it(killed_there):
    """libvirt sees a failed hook, and calls `stopped` and `release` as after every failed start."""
    killed_there.libvirt.gone("win11", killed_there.xml)
    assert killed_there.wait_for_return()
    as_before(killed_there)


@back_in_hook
def test_the_shim_goes_on_where_the_hook_was_killed(on, number):
    """The shim finds no mark of a finished release and runs undo.sh; then only our own books are left."""
    assert on.start().status == 0
    on.crash_at(number)
    on.libvirt.stop("win11", on.xml)
    assert len(on.boundaries()) == number
    as_before(on, *LEFT_BY_SH, *on.scenario.kept)
    recover(on)
    as_before(on, *on.scenario.kept)
