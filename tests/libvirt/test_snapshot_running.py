"""`vfioctl snapshot create` of guests that run: by bytes that their QEMU writes, on a real libvirtd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import snapshot_lab
from running_guests import Running, fill, with_flash

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_snapshot")


@pytest.fixture(params=[1, 3], ids=["1 disk", "3 disks"])
def disks(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def running(host: Any, disks: int) -> Iterator[Running]:
    made = Running(snapshot_lab.Guest(host, disks=disks))
    made.switch_on()
    yield made
    host.lab.virsh("destroy", made.name, check=False)


one_disk = pytest.mark.parametrize("disks", [1], ids=["1 disk"], indirect=True)


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_what_a_running_guest_wrote_before_comes_back_and_what_it_wrote_after_is_kept(running, host, paused):
    guest = running.guest
    running.write(0x40)
    if paused:
        host.lab.virsh("suspend", running.name)
    host.done("create", running.name, "clean", *(("--quiesce",) if paused else ()))
    assert running.disks == guest.sources, "its configuration has the new images as well"
    assert all(path.endswith(".clean.qcow2") for path in running.disks.values())
    running.write(0x60)
    running.switch_off()
    later = guest.state()
    host.done("revert", running.name, "clean")
    for number, path in enumerate(guest.sources.values()):
        host.must("qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {0x40 + number} 0 {snapshot_lab.SECTION}", path)
    (kept,) = [row["name"] for row in host.listed(running.name) if row["origin"] == "revert"]
    host.done("revert", running.name, kept)
    assert guest.state() == later
    assert host.left_open() == []


@one_disk
def test_what_is_kept_says_that_it_ran_and_libvirt_lists_it(running, host):
    host.done("create", running.name, "clean")
    (row,) = host.listed(running.name)
    assert (row["name"], row["state"], row["origin"], row["current"]) == ("clean", "running", "create", True)
    shown = json.loads(host.done("show", running.name, "clean", "--format", "json"))["data"]["snapshot"]
    assert shown["missing"] == []
    assert host.lab.virsh("snapshot-list", "--name", running.name).stdout.split() == ["clean"]


@one_disk
def test_once_it_is_off_one_in_the_middle_goes_and_all_of_ours_with_the_last(running, host):
    guest, before = running.guest, len(host.files())
    for number, name in enumerate(("one", "two", "three")):
        running.write(0x40 + number, number)
        host.done("create", running.name, name)
    running.write(0x50, 3)
    running.switch_off()
    present = guest.state()
    host.done("delete", running.name, "two", "--yes")
    assert (host.names(running.name), guest.state()) == (["one", "three"], present)
    host.done("prune", running.name, "--keep", "0", "--yes")
    assert (host.names(running.name), guest.state(), len(host.files())) == ([], present, before)
    assert host.lab.virsh("snapshot-list", "--name", running.name).stdout.strip() == ""


@one_disk
def test_while_the_guest_runs_no_snapshot_is_gone_back_to(running, host):
    host.done("create", running.name, "one")
    before, disks = host.files(), running.disks
    said = host.refused("revert", running.name, "one")
    assert "[snapshot.running]" in said
    assert f"vfioctl guest stop {running.name}" in said
    assert (host.files(), running.disks, host.names(running.name)) == (before, disks, ["one"])


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_the_newest_goes_while_the_guest_runs_and_then_all_of_them(running, host, paused):
    guest, before = running.guest, len(host.files())
    for number, name in enumerate(("one", "two", "three")):
        running.write(0x40 + number, number)
        host.done("create", running.name, name)
    running.write(0x50, 3)
    if paused:
        host.lab.virsh("suspend", running.name)
    host.done("delete", running.name, "three", "--yes")
    assert (host.names(running.name), running.disks) == (["one", "two"], guest.sources)
    assert not [path for path in host.files() if path.startswith(f"{snapshot_lab.IMAGES}/{running.name}-vda.two")]
    if paused:
        host.lab.virsh("resume", running.name)
    running.write(0x58, 2)  # over what came from the one that went
    host.done("prune", running.name, "--keep", "0", "--yes")
    assert (host.names(running.name), len(host.files()), host.left_open()) == ([], before, [])
    assert host.lab.virsh("snapshot-list", "--name", running.name).stdout.strip() == ""
    running.switch_off()
    for number, path in enumerate(guest.sources.values()):
        for section, pattern in enumerate((0x40, 0x41, 0x58, 0x50)):
            place = f"{snapshot_lab.SECTION * section} {snapshot_lab.SECTION}"
            host.must("qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {pattern + number} {place}", path)
    running.switch_on()


@one_disk
def test_one_that_was_made_before_the_start_goes_while_the_guest_runs(running, host):
    running.switch_off()
    guest, before = running.guest, len(host.files())
    present = guest.state()
    host.done("create", running.name, "clean")
    running.switch_on()
    host.done("delete", running.name, "clean", "--yes")
    assert (host.names(running.name), len(host.files()), running.disks) == ([], before, guest.sources)
    running.switch_off()
    assert guest.state() == present
    running.switch_on()


@one_disk
def test_what_of_a_running_guest_goes_must_not_be_needed_by_a_clone(running, host):
    base = running.disks["vda"]
    host.done("create", running.name, "clean")
    clone = f"{snapshot_lab.IMAGES}/{running.name}-clone.qcow2"
    host.must("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", clone)
    assert "[snapshot.needed]" in host.refused("delete", running.name, "clean", "--yes")
    host.must("rm", clone)


@one_disk
def test_a_delete_while_another_job_runs_on_the_disk_is_refused(running, host):
    host.done("create", running.name, "clean")
    before, disks = host.files(), running.disks
    host.lab.virsh("blockcopy", running.name, "vda", f"{snapshot_lab.IMAGES}/{running.name}-copy", "--transient-job")
    try:
        assert "[disk.busy]" in host.refused("delete", running.name, "clean", "--yes")
    finally:
        host.lab.virsh("blockjob", running.name, "vda", "--abort")
        host.run("rm", "-f", f"{snapshot_lab.IMAGES}/{running.name}-copy")
    assert (host.files(), running.disks, host.names(running.name)) == (before, disks, ["clean"])


@one_disk
@pytest.mark.parametrize("off", [False, True], ids=["running", "off by then"])
@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_a_delete_that_was_killed_is_finished_and_the_guest_keeps_what_it_has(running, host, number, off):
    guest, before = running.guest, len(host.files())
    running.write(0x40)
    host.done("create", running.name, "clean")
    running.write(0x50, 1)
    host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert host.cli("snapshot", "delete", running.name, "clean", "--yes").returncode != 0
    host.must("sh", "-c", "rm -f /.kit/*")
    if off:
        running.switch_off()
    assert f"snapshot delete guest:{running.name} was interrupted" in host.recover()
    assert (host.names(running.name), len(host.files()), host.left_open()) == ([], before, [])
    if not off:
        running.switch_off()
    for section, pattern in enumerate((0x40, 0x50)):
        place = f"{snapshot_lab.SECTION * section} {snapshot_lab.SECTION}"
        host.must("qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {pattern} {place}", guest.sources["vda"])
    running.switch_on()


@one_disk
def test_a_standstill_without_an_agent_is_refused_before_anything_is_made(running, host):
    before, disks = host.files(), running.disks
    said = host.refused("create", running.name, "clean", "--quiesce")
    assert "[guest.no_agent]" in said
    assert "--quiesce" in said
    assert (host.files(), running.disks, host.names(running.name)) == (before, disks, [])


@one_disk
def test_a_dry_run_changes_nothing(running, host):
    before, disks = host.files(), running.disks
    assert "disk.live" in host.done("create", running.name, "clean", "--dry-run")
    assert (host.files(), running.disks) == (before, disks)


@one_disk
def test_what_libvirt_refuses_in_the_end_leaves_nothing(running, host):
    """A job runs on its disk."""
    before, disks = host.files(), running.disks
    host.lab.virsh("blockcopy", running.name, "vda", f"{snapshot_lab.IMAGES}/{running.name}-copy", "--transient-job")
    try:
        ended = host.cli("snapshot", "create", running.name, "clean")
        assert ended.returncode not in (0, 3), ended.stdout + ended.stderr
        assert "Everything was put back." in ended.stderr
    finally:
        host.lab.virsh("blockjob", running.name, "vda", "--abort")
        host.run("rm", "-f", f"{snapshot_lab.IMAGES}/{running.name}-copy")
    assert (host.files(), running.disks, host.names(running.name), host.left_open()) == (before, disks, [], [])


@one_disk
def test_a_disk_that_the_configuration_has_elsewhere_is_refused_by_name(running, host):
    other = f"{snapshot_lab.IMAGES}/{running.name}-other.qcow2"
    host.must("qemu-img", "create", "-q", "-f", "qcow2", other, str(snapshot_lab.SIZE))
    running.guest.define({"vda": (other, "qcow2")})
    said = host.refused("create", running.name, "clean")
    assert "[snapshot.strayed]" in said
    assert "vda" in said


def test_the_nvram_of_a_running_guest_is_kept_and_goes_back(host):
    guest = with_flash(host)
    fill(guest, "a")
    running = Running(guest)
    running.switch_on("--paused")
    try:
        clean = host.must("sha256sum", guest.nvram).split()[0]
        host.done("create", running.name, "clean")
    finally:
        running.switch_off()
    fill(guest, "b")
    host.done("revert", running.name, "clean")
    assert host.must("sha256sum", guest.nvram).split()[0] == clean
