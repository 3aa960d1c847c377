"""The daemon is back and the guest still runs: what may be wrong with the books then, and that no device is taken."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hand_offs import BY_NAME, GPU, GUEST, SOUND, stage
from txn_builders import OTHER
from txn_builders import UUID as BARE

from vfioctl.handoff import markers
from vfioctl.handoff.notes import guest_lock
from vfioctl.handoff.reconnect import reconnect
from vfioctl.log import Log
from vfioctl.testing.domains import UUID
from vfioctl.txn.journal import Journal, Standing
from vfioctl.txn.plan import Action
from vfioctl.txn.resources import Ledger
from vfioctl.wait import until

QUICK = 5.0


@pytest.fixture
def on(tmp_path):
    with stage(BY_NAME["nvidia-greeter"], tmp_path) as one:
        yield one


def run_qemu(on, *addresses: str, uuid: str = UUID) -> int:
    """QEMU as libvirt starts it; no hook is called."""
    return on.host.kernel.add_process(on.libvirt.qemu(GUEST, uuid, addresses))


def come_back(on) -> None:
    """The daemon calls `reconnect`. Nothing of the machine may change by that."""
    on.host.kernel.clear_log()
    assert on.libvirt.call(GUEST, "reconnect", "begin", on.xml).status == 0
    assert on.host.kernel.writes() == []


def stops(on, pid: int) -> None:
    """The guest stops and everything is as it was before its start."""
    on.host.kernel.end_process(pid)
    on.libvirt.gone(GUEST, on.xml)
    assert on.wait_for_return()
    assert on.differences() == ()


def stand(on, standing: Standing) -> None:
    with Journal(on.host.paths, UUID) as journal:
        journal.reopen()
        journal.standing(standing)


def drivers(on) -> list[str]:
    return [os.path.basename(os.readlink(on.host.paths.pci(address, "driver"))) for address in (GPU, SOUND)]


def mark(on, name: str) -> Path:
    return Path(on.host.paths.guest_markers(GUEST), name)


def test_a_guest_whose_started_never_came_is_no_longer_the_dead_mans(on):
    on.prepare()
    pid = run_qemu(on, GPU, SOUND)
    come_back(on)
    assert not mark(on, markers.ARMED).exists()
    assert on.story().standing is Standing.HELD
    stops(on, pid)


@pytest.fixture
def qemu(given):
    """A real process with the arguments of a guest's QEMU."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "-uuid", BARE])
    try:
        assert until(lambda: given.machine().host().qemu_of(BARE) == process.pid, QUICK)
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_steps_that_follow_the_start_are_caught_up_with_once(given, qemu):
    asked = Path(given.paths.at("sys/governor"))
    reconnect(given, "win11", Log(given.paths, stderr=None))
    assert asked.read_text().strip() == "1"
    asked.write_text("2\n")  # by somebody else
    reconnect(given, "win11", Log(given.paths, stderr=None))
    assert asked.read_text().strip() == "2"


@pytest.mark.parametrize("standing", [Standing.APPLYING, Standing.UNDOING, Standing.RETURNING])
def test_a_guest_that_has_its_devices_counts_as_given_whatever_the_journal_says(on, standing):
    on.prepare()
    pid = run_qemu(on, GPU, SOUND)
    stand(on, standing)
    come_back(on)
    assert on.story().standing is Standing.HELD
    assert drivers(on) == ["vfio-pci", "vfio-pci"]
    stops(on, pid)


def test_what_a_return_had_begun_is_begun_anew_when_the_guest_stops(on):
    on.prepare()
    pid = run_qemu(on, GPU, SOUND)
    stand(on, Standing.RETURNING)
    with Journal(on.host.paths, UUID) as journal:
        journal.reopen()
        for step in on.story().plan.changes:
            journal.done(Action.UNDO, step)
            Ledger(on.host.paths).leave(step, UUID)
    come_back(on)
    assert all(UUID in entry.holders for entry in Ledger(on.host.paths).entries())
    assert Ledger(on.host.paths).entries() != ()
    stops(on, pid)


@pytest.mark.parametrize("standing", [Standing.APPLYING, Standing.UNDOING])
def test_recover_takes_nothing_from_a_guest_that_has_its_devices_either(on, standing):
    on.prepare()
    run_qemu(on, GPU, SOUND)
    stand(on, standing)
    assert "is running with its devices" in on.command("recover", "--abort", GUEST).stdout
    assert drivers(on) == ["vfio-pci", "vfio-pci"]


def test_a_guest_that_runs_without_its_devices_leaves_them_to_its_release(on):
    on.crash_at(6)
    on.prepare()
    on.crash_at(None)
    pid = run_qemu(on)
    come_back(on)
    assert on.story().standing is Standing.APPLYING
    stops(on, pid)


@pytest.mark.parametrize("names", [("uuid",), ("undo.sh",), ("release", "started"), ("uuid", "undo.sh", "release")])
def test_marks_that_are_missing_are_there_again(on, names):
    on.start()
    script = mark(on, "undo.sh").read_text()
    for name in names:
        mark(on, name).unlink()
    come_back(on)
    assert mark(on, "uuid").read_text().strip() == UUID
    assert mark(on, "undo.sh").read_text() == script
    on.stop()
    assert on.differences() == ()


def test_a_mark_that_a_release_left_does_not_keep_the_shim_from_the_rendered_undo(on):
    on.start()
    markers.set_mark(on.host.paths, GUEST, markers.RELEASED)
    come_back(on)
    assert not mark(on, markers.RELEASED).exists()


def test_what_another_guest_of_the_name_has_left_comes_home_beside_the_one_that_runs(on):
    on.start()
    on.guest_ends()
    run_qemu(on, uuid=OTHER)
    on.libvirt.call(GUEST, "reconnect", "begin", on.xml)
    assert on.wait_for_return()
    assert drivers(on) == ["nvidia", "snd_hda_intel"]


def test_devices_that_another_guest_of_the_name_has_open_are_not_taken(on):
    on.start()
    on.guest_ends()
    run_qemu(on, GPU, SOUND, uuid=OTHER)
    come_back(on)
    assert on.wait_for_rest()
    assert drivers(on) == ["vfio-pci", "vfio-pci"]
    assert on.story().standing is Standing.HELD


def test_a_hand_off_that_another_process_works_on_is_left_to_it_without_a_wait(on):
    on.prepare()
    run_qemu(on, GPU, SOUND)
    stand(on, Standing.APPLYING)
    with guest_lock(on.host.paths, UUID):
        began = time.monotonic()
        come_back(on)
        assert time.monotonic() - began < QUICK
    assert on.story().standing is Standing.APPLYING


def test_without_any_journal_it_is_said_and_nothing_is_done(on):
    on.start()
    for path in (on.host.paths.boot_journal(UUID), on.host.paths.disk_journal(UUID)):
        os.unlink(path)
    come_back(on)
    log = Path(on.host.paths.log, "vfioctl.log")
    assert until(lambda: "no journal tells what it was handed" in log.read_text(), QUICK)
    assert drivers(on) == ["vfio-pci", "vfio-pci"]


def test_a_hand_off_of_an_earlier_boot_is_left_to_recover(on):
    on.start()
    now = on.story().boot_id
    for path in (Path(on.host.paths.boot_journal(UUID)), Path(on.host.paths.disk_journal(UUID))):
        path.write_text(path.read_text().replace(now, "an-earlier-boot"))
    come_back(on)
    assert (on.story().standing, on.story().boot_id) == (Standing.HELD, "an-earlier-boot")
