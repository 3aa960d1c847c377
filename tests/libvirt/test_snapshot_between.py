"""`vfioctl snapshot delete` of one further down while the guest runs: by bytes, on a real libvirtd."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import snapshot_lab
from running_guests import Running, fill, with_flash

from vfioctl.wait import until

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_snapshot")

NAMES = ("one", "two", "three")
PATTERNS = (0x40, 0x50, 0x60, 0x70)  # what is written before each of them, and at last; the sections overlap


@pytest.fixture(params=[1, 3], ids=["1 disk", "3 disks"])
def disks(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def form() -> str:
    return "qcow2"


@pytest.fixture
def kept(host: Any, disks: int, form: str) -> Iterator[Kept]:
    made = Kept(Running(snapshot_lab.Guest(host, disks=disks, form=form)))
    yield made
    host.lab.virsh("destroy", made.name, check=False)


one_disk = pytest.mark.parametrize("disks", [1], ids=["1 disk"], indirect=True)


class Kept:
    """A guest that runs, with a snapshot of each of NAMES; `seen` is what each of them holds, `before` the files."""

    def __init__(self, running: Running) -> None:
        self.running, self.guest, self.host, self.name = running, running.guest, running.host, running.name
        running.switch_on()
        for number, name in enumerate(NAMES):
            running.write(PATTERNS[number], number)
            running.write(PATTERNS[number] + 8, 3)  # over what was written before
            self.host.done("create", self.name, name)
        running.write(PATTERNS[3], 1)
        self.before = self.host.files()
        self.base = f"{snapshot_lab.IMAGES}/{self.name}-vda"

    def dies(self, number: int, *argv: str) -> None:
        """`vfioctl snapshot ARGV`, killed at its boundary `number`."""
        self.host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
        assert self.host.cli("snapshot", *argv, "--yes").returncode != 0
        assert self.host.must("sh", "-c", "wc -l < /.kit/boundaries; rm -f /.kit/*").strip() == str(number)

    def is_recovered(self) -> None:
        assert f"snapshot delete guest:{self.name} was interrupted; it was finished" in self.host.recover()

    def begins_a_job(self) -> None:
        """The job of the deletion of the first, so slow that it is at work for a while."""
        how = ("--top", f"{self.base}.one.qcow2", "--base", f"{self.base}.qcow2", "--bandwidth", "65536", "--bytes")
        self.host.lab.virsh("blockcommit", self.name, "vda", *how)

    @property
    def is_at_work(self) -> bool:
        return "Block Commit" in self.host.lab.virsh("blockjob", self.name, "vda", "--info", "--raw").stdout

    def holds(self, name: str) -> dict[int, int]:
        """What each section of the first disk holds at the snapshot, "" for now."""
        last = NAMES.index(name) if name else len(NAMES) - 1
        found = {number: PATTERNS[number] for number in range(last + 1)} | {3: PATTERNS[last] + 8}
        return found if name else {**found, 1: PATTERNS[3]}

    def says(self, name: str) -> None:
        """What the guest would see at its next start is what was written until then."""
        for number, path in enumerate(self.guest.sources.values()):
            for section, pattern in self.holds(name).items():
                place = f"{snapshot_lab.SECTION * section} {snapshot_lab.SECTION}"
                said = self.host.must("qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {pattern + number} {place}", path)
                assert "verification failed" not in said, (name, path, section)

    def names_no_image_that_is_gone(self, names: Iterable[str]) -> None:
        """What libvirt has written down of these snapshots, chains and all."""
        for name in names:
            said = ET.fromstring(self.host.lab.virsh("snapshot-dumpxml", self.name, name).stdout)
            files = {source.get("file") for source in said.iterfind("*/devices/disk//source")}
            assert files, name
            assert files <= self.host.files(), name

    def is_without(self, *gone: str) -> None:
        """The others are there by bytes, each can be gone back to, and nothing is left open."""
        left = [name for name in NAMES if name not in gone]
        assert (self.host.names(self.name), self.host.left_open()) == (left, [])
        listed = self.host.lab.virsh("snapshot-list", "--name", self.name).stdout.split()
        assert sorted(listed) == sorted(left)
        files = len(self.guest.targets) * len(gone)
        assert len(self.before - self.host.files()) == files + len(gone), "an image of each disk, and the record"
        assert self.host.files() - self.before == set()
        self.names_no_image_that_is_gone(left)
        self.running.switch_off()
        self.says("")
        for name in left:
            self.host.done("revert", self.name, name, "--discard", "--yes")
            self.says(name)
            self.running.switch_on()
            self.running.switch_off()


@pytest.mark.parametrize("name", NAMES)
def test_one_goes_while_the_guest_is_off_and_what_libvirt_keeps_of_the_others_names_what_is_there(kept, host, name):
    kept.running.switch_off()
    followed = "snapshot.follow" in host.done("delete", kept.name, name, "--dry-run")
    assert followed == (name != "three"), "the newest has none over it whose record would name its image"
    host.done("delete", kept.name, name, "--yes")
    kept.running.switch_on()
    kept.is_without(name)


@one_disk
@pytest.mark.parametrize("number", range(1, 13))
def test_a_deletion_of_an_off_guest_that_was_killed_names_only_what_is_there(kept, host, number):
    kept.running.switch_off()
    kept.dies(number, "delete", kept.name, "two")
    host.recover()
    kept.names_no_image_that_is_gone(host.names(kept.name))
    if "two" in host.names(kept.name):
        host.done("delete", kept.name, "two", "--yes")
    kept.running.switch_on()
    kept.is_without("two")


@pytest.mark.parametrize("name", ["one", "two"], ids=["the first", "in the middle"])
@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_one_goes_while_the_guest_runs_and_each_of_the_others_holds_what_it_held(kept, host, name, paused):
    if paused:
        host.lab.virsh("suspend", kept.name)
    assert "disk.commit" in host.done("delete", kept.name, name, "--dry-run")
    assert host.files() == kept.before
    host.done("delete", kept.name, name, "--yes")
    kept.is_without(name)


def test_all_but_the_newest_go_in_one_job_of_each_disk(kept, host):
    host.done("prune", kept.name, "--keep", "1", "--yes")
    kept.is_without("one", "two")


@one_disk
def test_one_goes_after_the_other_and_the_last_of_them_too(kept, host):
    for name in ("two", "one", "three"):
        host.done("delete", kept.name, name, "--yes")
    assert len(kept.before - host.files()) == 6
    kept.is_without(*NAMES)


@one_disk
@pytest.mark.parametrize("form", ["raw"])
def test_the_first_goes_into_a_raw_image(kept, host, form):
    host.done("delete", kept.name, "one", "--yes")
    shown = host.must("qemu-img", "info", "-U", f"{kept.base}.two.qcow2")
    assert "backing file format: raw" in shown
    kept.running.switch_off()
    kept.says("")
    host.done("revert", kept.name, "two", "--discard", "--yes")
    kept.says("two")


@one_disk
def test_what_was_gone_back_to_and_what_was_before_both_hold_what_they_held(kept, host):
    """Two images lie over the one that is written down then."""
    kept.running.switch_off()
    host.done("revert", kept.name, "two")
    kept.running.switch_on()
    (former,) = (name for name in host.names(kept.name) if name.startswith("before-revert"))
    host.done("delete", kept.name, "one", "--yes")
    kept.running.switch_off()
    for name, holds in (("", "two"), ("three", "three"), (former, ""), ("two", "two")):
        if name:
            host.done("revert", kept.name, name, "--discard", "--yes")
        kept.says(holds)


@one_disk
def test_what_a_clone_needs_is_not_written_down_while_the_guest_runs(kept, host):
    clone = f"{snapshot_lab.IMAGES}/{kept.name}-clone.qcow2"
    host.must("qemu-img", "create", "-q", "-f", "qcow2", "-b", f"{kept.base}.one.qcow2", "-F", "qcow2", clone)
    said = host.refused("delete", kept.name, "one", "--yes")
    assert "[snapshot.between]" in said
    assert clone in said
    assert f"vfioctl guest stop {kept.name}" in said
    host.must("rm", clone)
    assert (host.files(), host.names(kept.name)) == (kept.before, list(NAMES))


@one_disk
def test_a_deletion_while_another_job_is_at_work_is_refused(kept, host):
    copy = f"{snapshot_lab.IMAGES}/{kept.name}-copy"
    host.lab.virsh("blockcopy", kept.name, "vda", copy, "--transient-job")
    try:
        assert "[disk.busy]" in host.refused("delete", kept.name, "one", "--yes")
    finally:
        host.lab.virsh("blockjob", kept.name, "vda", "--abort")
        host.run("rm", "-f", copy)
    host.done("delete", kept.name, "one", "--yes")
    kept.is_without("one")


@one_disk
@pytest.mark.parametrize("number", range(1, 17))
def test_a_deletion_that_was_killed_is_finished_while_the_guest_runs_or_is_off_by_then(kept, host, number):
    """The boundaries of its steps; every other one with the guest off at `recover`."""
    kept.dies(number, "delete", kept.name, "one")
    if number % 2:
        kept.running.switch_off()
    kept.is_recovered()
    if number % 2:
        kept.running.switch_on()
    kept.is_without("one")


@pytest.mark.parametrize("disks", [3], ids=["3 disks"], indirect=True)
@pytest.mark.parametrize("number", [6, 7, 9, 11])
def test_a_deletion_that_was_killed_between_its_disks_is_finished(kept, host, number):
    kept.dies(number, "delete", kept.name, "one")
    kept.is_recovered()
    kept.is_without("one")


@one_disk
@pytest.mark.parametrize("how", ["at once", "libvirtd killed", "guest off", "QEMU killed", "without plugins"])
def test_a_job_that_is_half_way_is_waited_for_or_finished(kept, host, how):
    kept.dies(5, "delete", kept.name, "one")
    kept.begins_a_job()
    assert kept.is_at_work
    if how == "libvirtd killed":
        host.lab.sigkill()
        host.lab.start()
        assert kept.is_at_work, "QEMU goes on"
    elif how == "guest off":
        kept.running.switch_off()
    elif how == "QEMU killed":
        pid = host.must("cat", f"/run/libvirt/qemu/{kept.name}.pid").strip()
        host.must("kill", "-9", pid)
        assert until(lambda: "shut off" in host.lab.virsh("domstate", kept.name).stdout, 20)
    if how == "without plugins":
        assert "it was finished" in host.recover_uninstalled()
    else:
        kept.is_recovered()
    if how in ("guest off", "QEMU killed"):
        kept.running.switch_on()
    kept.is_without("one")


@pytest.mark.parametrize("disks", [3], ids=["3 disks"], indirect=True)
def test_one_that_fails_at_its_second_disk_is_half_deleted_and_deleted_by_the_next_try(kept, host):
    """A job on that disk is begun in the last moment: the first disk has been merged by then."""
    copy = f"{snapshot_lab.IMAGES}/{kept.name}-copy"
    with host.standing_still(6, "snapshot", "delete", kept.name, "one", "--yes") as process:
        host.lab.virsh("blockcopy", kept.name, "vdb", copy, "--transient-job")
    assert process.returncode not in (0, 3)
    host.lab.virsh("blockjob", kept.name, "vdb", "--abort")
    host.run("rm", "-f", copy)
    assert (host.names(kept.name), host.left_open()) == (list(NAMES), [])
    (row,) = (one for one in host.listed(kept.name) if one["name"] == "one")
    assert row["missing"] == ["the content of its images (its deletion has begun)"]
    kept.running.switch_off()
    assert "[snapshot.incomplete]" in host.refused("revert", kept.name, "one")
    kept.says("")
    kept.running.switch_on()
    host.done("delete", kept.name, "one", "--yes")
    kept.is_without("one")


def test_the_copy_of_the_nvram_goes_with_it_and_the_others_go_back(host, disks):
    guest = with_flash(host, disks)
    running = Running(guest)
    fill(guest, "a")
    running.switch_on("--paused")
    for number, (letter, name) in enumerate(zip("bc", ("one", "two"), strict=True)):
        running.write(PATTERNS[number])
        host.done("create", running.name, name)
        fill(guest, letter)
    running.write(PATTERNS[2])
    host.done("delete", running.name, "one", "--yes")
    running.switch_off()
    assert f"{guest.nvram}.one" not in host.files()
    host.done("revert", running.name, "two", "--discard", "--yes")
    assert set(host.must("cat", guest.nvram)) == {"b"}
    for number, path in enumerate(guest.sources.values()):
        read = f"read -P {PATTERNS[1] + number} 0 {snapshot_lab.SECTION}"
        assert "verification failed" not in host.must("qemu-io", "-r", "-f", "qcow2", "-c", read, path)
