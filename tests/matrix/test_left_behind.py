"""What an earlier hand-off has left, met by the next start or after a boot."""

from __future__ import annotations

import os
import signal

import pytest
from faults import repair
from hand_offs import BY_NAME, GPU, GUEST, Stage, stage
from recoveries import as_before, recover

from vfioctl.testing.libvirt import HookCall

GENERIC, SNAPSHOT = BY_NAME["generic"], BY_NAME["snapshot"]
OTHER = "11111111-2222-4333-8444-555555555555"


def killed_at(on: Stage, number: int) -> None:
    on.crash_at(number)
    assert on.prepare().status == -signal.SIGKILL
    on.crash_at(None)


@pytest.mark.parametrize("number", [4, 6, 8])
def test_after_a_power_cut_in_mid_hand_off_what_is_on_disk_is_undone(tmp_path, number):
    """The boot has reset the card; a snapshot and the copy of the NVRAM have outlived it."""
    with stage(SNAPSHOT, tmp_path) as on:
        killed_at(on, number)
        on.host.reboot()
        ended = on.command("recover")
        assert ended.returncode == 0, ended.stderr
        assert "the host was restarted in mid-hand-off" in ended.stdout + ended.stderr
        assert on.story() is None
        as_before(on)


def test_what_lies_on_a_disk_that_is_mounted_after_the_boot_is_undone_by_a_later_recover(tmp_path):
    with stage(SNAPSHOT, tmp_path) as on:
        killed_at(on, 8)
        on.host.reboot()
        place = on.host.paths.at("nvram")
        os.rename(place, f"{place}.disk")
        early = on.command("recover")
        assert early.returncode != 0
        assert "its file system may not be mounted" in early.stderr
        assert "recover --discard" in early.stderr
        assert on.story() is not None
        os.rename(f"{place}.disk", place)
        recover(on)
        as_before(on)


def test_after_a_power_cut_a_guest_that_ran_keeps_its_snapshot_and_starts_again(tmp_path):
    with stage(SNAPSHOT, tmp_path) as on:
        assert on.start().status == 0
        on.guest_ends()
        on.host.reboot()
        started = on.start()
        assert started.status == 0, started.stderr
        on.stop()
        as_before(on, *SNAPSHOT.kept)


def test_what_cannot_be_undone_after_a_power_cut_stays_open_and_is_said(tmp_path):
    with stage(SNAPSHOT, tmp_path) as on:
        killed_at(on, 6)
        on.host.reboot()
        on.host.kernel.remove_program("qemu-img")
        refused = on.prepare()
        assert refused.status > 0
        assert "its last hand-off is not finished" in refused.stderr
        assert on.command("recover").returncode != 0
        assert on.story() is not None
        repair(on)
        recover(on)
        as_before(on)


# Another guest of the same name


@pytest.fixture
def on(tmp_path):
    with stage(GENERIC, tmp_path) as one:
        yield one


def start_namesake(on: Stage) -> HookCall:
    """A guest of the same name was defined anew; it wants the same card."""
    return on.libvirt.start(GUEST, OTHER, on.scenario.xml(uuid=OTHER), addresses=(GPU,))


def test_what_a_namesake_has_left_is_brought_home_first(on):
    assert on.start().status == 0
    on.guest_ends()
    started = start_namesake(on)
    assert started.status == 0, started.stderr
    on.libvirt.stop(GUEST, on.scenario.xml(uuid=OTHER))
    assert on.wait_for_return(uuid=OTHER)
    as_before(on)


def test_while_a_namesake_still_runs_a_start_is_refused_and_its_card_stays(on):
    assert on.start().status == 0
    refused = on.libvirt.call(GUEST, "prepare", "begin", on.scenario.xml(uuid=OTHER))
    assert refused.status > 0
    assert "still runs with its devices" in refused.stderr
    assert on.story() is not None
    on.stop()
    as_before(on)


# Without transient units


def test_where_no_transient_unit_can_be_started_a_detached_process_returns_the_card(on):
    for part in ("deadman", "finish"):
        on.host.kernel.fail_program("systemd-run", 1, arguments=f"*--unit=vfioctl-{part}-*")
    started = on.start()
    assert started.status == 0
    assert "a detached process instead" in started.stderr
    on.stop()
    as_before(on)
