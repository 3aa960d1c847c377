"""`vfioctl snapshot` on guests that are off: by bytes, on a real libvirtd, which calls no hook for any of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import snapshot_lab

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_snapshot")

shapes = pytest.mark.parametrize(("uefi", "disks"), [(False, 1), (True, 3)], ids=["bios-1", "uefi-3"])
OWNED = f"{snapshot_lab.TPM_USER} {snapshot_lab.TPM_USER} 600"


@pytest.fixture(scope="module")
def host(module_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with snapshot_lab.silent(module_lab, tmp_path_factory.mktemp("snapshots")) as made:
        yield made


@pytest.fixture
def make(host: Any) -> Callable[..., Any]:
    return lambda **shape: snapshot_lab.Guest(host, **shape)


@shapes
def test_a_guest_comes_back_as_it_was_and_what_came_between_is_kept(make, host, uefi, disks):
    guest = make(uefi=uefi, disks=disks)
    clean = guest.state()
    host.done("create", guest.name, "clean")
    assert guest.state() == clean
    guest.write(0x40)
    later = guest.state()
    assert later != clean
    host.done("revert", guest.name, "clean")
    assert guest.state() == clean
    (kept,) = [row["name"] for row in host.listed(guest.name) if row["origin"] == "revert"]
    guest.write(0x60, 1)
    host.done("revert", guest.name, kept)
    assert guest.state() == later
    host.done("revert", guest.name, "clean")
    assert guest.state() == clean
    assert host.left_open() == []


@shapes
def test_one_in_the_middle_goes_and_nobody_else_notices(make, host, uefi, disks):
    guest = make(uefi=uefi, disks=disks)
    states = []
    for number, name in enumerate(("one", "two", "three")):
        states.append(guest.state())
        host.done("create", guest.name, name)
        guest.write(0x40 + 8 * number, number)
    present = guest.state()
    host.done("delete", guest.name, "two", "--yes")
    assert host.names(guest.name) == ["one", "three"]
    assert guest.state() == present
    for name, state in (("one", states[0]), ("three", states[2])):
        host.done("revert", guest.name, name)
        assert guest.state() == state


@shapes
def test_all_of_ours_goes_with_the_snapshots_and_the_guest_keeps_what_it_has(make, host, uefi, disks):
    guest = make(uefi=uefi, disks=disks)
    before = host.files()
    for name in ("one", "two"):
        host.done("create", guest.name, name)
        guest.write(0x40)
    host.done("revert", guest.name, "one")
    present = guest.state()
    host.done("prune", guest.name, "--keep", "0", "--yes")
    assert host.names(guest.name) == []
    assert guest.state() == present
    assert len(host.files()) == len(before)
    assert host.lab.virsh("snapshot-list", "--name", guest.name).stdout.strip() == ""


def test_prune_keeps_the_newest(make, host):
    guest = make()
    for name in ("one", "two", "three"):
        host.done("create", guest.name, name)
    host.done("prune", guest.name, "--keep", "2", "--yes")
    assert host.names(guest.name) == ["two", "three"]
    assert "has no snapshots but" in host.done("prune", guest.name, "--keep", "2", "--yes")


def test_discard_loses_the_present_state_and_nothing_else(make, host):
    guest = make(uefi=True)
    clean, before = guest.state(), host.files()
    host.done("create", guest.name, "clean")
    guest.write(0x40)
    host.done("revert", guest.name, "clean", "--discard", "--yes")
    assert guest.state() == clean
    assert host.names(guest.name) == ["clean"]
    assert len(host.files() - before) == 4  # the new image, its NVRAM, the copy of that, the record
    assert f"{snapshot_lab.NVRAM}/{guest.name}_VARS.fd" not in host.files()


@pytest.mark.parametrize("discard", [(), ("--discard", "--yes")], ids=["kept", "discard"])
def test_a_guest_whose_present_image_was_removed_goes_back(make, host, discard):
    guest = make()
    clean = guest.state()
    host.done("create", guest.name, "clean")
    (present,) = guest.sources.values()
    host.must("rm", present)
    ended = host.cli("snapshot", "revert", guest.name, "clean", *discard)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"vda of guest {guest.name} is not kept: its image {present} is not there" in ended.stderr
    assert guest.state() == clean
    assert host.names(guest.name) == ["clean"]


def test_the_state_of_a_tpm_is_kept_and_goes_back_with_the_disks(make, host):
    guest, before = make(uefi=True, tpm=True), host.files()
    clean = guest.state()
    host.done("create", guest.name, "clean")
    guest.write(0x40)
    later = guest.state()
    assert later["tpm"] != clean["tpm"]
    host.done("revert", guest.name, "clean")
    assert guest.state() == clean
    assert host.must("stat", "-c", "%u %g %a", guest.tpm).strip() == OWNED
    (kept,) = [row["name"] for row in host.listed(guest.name) if row["origin"] == "revert"]
    guest.write(0x60, 1)
    host.done("revert", guest.name, kept, "--discard", "--yes")
    assert guest.state() == later
    assert [row["tpm"] for row in host.listed(guest.name)] == [True, True]
    host.done("prune", guest.name, "--keep", "0", "--yes")
    assert (guest.state(), len(host.files()), host.left_open()) == (later, len(before), [])


def test_the_state_of_a_tpm_stays_with_disks_only(make, host):
    guest = make(tpm=True)
    host.done("create", guest.name, "bare", "--disks-only")
    clean = guest.state()
    guest.write(0x40)
    later = guest.state()
    said = host.refused("revert", guest.name, "bare")
    assert "[snapshot.without_tpm]" in said
    assert f"vfioctl snapshot revert {guest.name} bare --disks-only" in said
    host.done("revert", guest.name, "bare", "--disks-only")
    assert (guest.state()["vda"], guest.state()["tpm"]) == (clean["vda"], later["tpm"])


def test_a_snapshot_whose_copy_of_the_tpm_is_gone_is_not_gone_back_to(make, host):
    guest = make(tpm=True)
    host.done("create", guest.name, "clean")
    guest.write(0x40)
    present = guest.state()
    host.must("rm", f"{guest.tpm}.clean")
    assert "[snapshot.incomplete]" in host.refused("revert", guest.name, "clean")
    assert guest.state() == present


def test_a_raw_disk_is_kept_too(make, host):
    guest = make(form="raw")
    clean = guest.state()
    host.done("create", guest.name, "clean")
    guest.write(0x40)
    host.done("revert", guest.name, "clean", "--discard", "--yes")
    assert guest.state() == clean
    host.done("delete", guest.name, "clean", "--yes")
    assert guest.state() == clean


def test_a_dry_run_changes_no_file(make, host):
    guest = make(uefi=True)
    before = host.files()
    assert "disk.overlay" in host.done("create", guest.name, "clean", "--dry-run")
    assert host.files() == before
    assert host.run("test", "-e", f"{snapshot_lab.RECORDS}/{guest.uuid}").returncode == 1


def test_what_loses_something_asks_first(make, host):
    guest = make()
    host.done("create", guest.name, "clean")
    for argv in (("delete", guest.name, "clean"), ("revert", guest.name, "clean", "--discard"),
                 ("prune", guest.name, "--keep", "0")):  # fmt: skip
        ended = host.cli("snapshot", *argv)
        assert ended.returncode != 0
        assert "--yes" in ended.stdout + ended.stderr
    assert host.names(guest.name) == ["clean"]


def test_libvirt_lists_it_as_well(make, host):
    guest = make()
    host.done("create", guest.name, "clean")
    assert host.lab.virsh("snapshot-list", "--name", guest.name).stdout.split() == ["clean"]


def test_the_guest_starts_on_what_was_made(make, host):
    guest = make()
    host.done("create", guest.name, "clean")
    host.lab.virsh("start", guest.name)
    try:
        said = host.refused("revert", guest.name, "clean")
        assert "[snapshot.running]" in said
        assert f"Shut it down first: vfioctl guest stop {guest.name}" in said
    finally:
        host.lab.virsh("destroy", guest.name)
        host.calls.write_text("")


def test_a_saved_guest_is_refused_by_every_verb(make, host):
    guest = make()
    host.done("create", guest.name, "clean")
    host.lab.virsh("start", guest.name)
    host.lab.virsh("managedsave", guest.name)
    host.calls.write_text("")
    for verb, name in (("create", "again"), ("revert", "clean"), ("delete", "clean")):
        said = host.refused(verb, guest.name, name)
        assert "[snapshot.saved]" in said
        assert f"`vfioctl guest discard-saved {guest.name}`" in said
    host.lab.virsh("managedsave-remove", guest.name)
    host.calls.write_text("")


def test_what_is_not_there_is_named_with_the_nearest(make, host):
    guest = make()
    host.done("create", guest.name, "clean")
    assert f'did you mean "{guest.name}"?' in host.refused("list", f"{guest.name}x")
    assert 'did you mean "clean"?' in host.refused("revert", guest.name, "claen")
    assert "[snapshot.taken]" in host.refused("create", guest.name, "clean")
    assert "[snapshot.bad_name]" in host.refused("create", guest.name, "a b")
    assert "[node.unknown]" in host.refused("list", guest.name, "--node", "nowhere")


def test_a_clone_keeps_what_it_lies_over(make, host):
    guest = make()
    base = guest.sources["vda"]
    host.done("create", guest.name, "clean")
    clone = f"{snapshot_lab.IMAGES}/{guest.name}-clone.qcow2"
    host.must("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", clone)
    said = host.refused("delete", guest.name, "clean", "--yes")
    assert "[snapshot.needed]" in said
    assert "-clone.qcow2" in said


def test_another_guest_keeps_its_disk(make, host):
    guest, other = make(), make()
    base = guest.sources["vda"]
    host.done("create", guest.name, "clean")
    other.define({"vda": (base, "qcow2")})
    assert "[snapshot.needed]" in host.refused("delete", guest.name, "clean", "--yes")
    assert "[snapshot.shared]" in host.refused("create", other.name, "x")


def test_what_is_incomplete_is_not_gone_back_to(make, host):
    guest = make(disks=3)
    host.done("create", guest.name, "clean")
    guest.write(0x40)
    present = guest.sources
    host.must("mv", f"{snapshot_lab.IMAGES}/{guest.name}-vdb.qcow2", f"{snapshot_lab.IMAGES}/{guest.name}-elsewhere")
    assert "[snapshot.incomplete]" in host.refused("revert", guest.name, "clean")
    assert guest.sources == present


@pytest.mark.parametrize("uefi", [False, True], ids=["bios", "uefi"])
def test_snapshots_inside_the_images_are_gone_back_to_and_pruned(make, host, uefi):
    """As the hook before a start makes them: qemu-img snapshot, and copies of NVRAM and TPM."""
    names = ("vfioctl-20260101-000000-00000001", "vfioctl-20260102-000000-00000002")
    guest, states = make(uefi=uefi, disks=2, tpm=uefi), []
    for number, name in enumerate(names):
        states.append(guest.state())
        for path in guest.sources.values():
            host.must("qemu-img", "snapshot", "-c", name, path)
        if uefi:
            for path in (guest.nvram, guest.tpm):
                host.must("cp", "-p", path, f"{path}.{name}")
        guest.write(0x40 + 8 * number, number)
    present = guest.state()
    assert [(row["name"], row["origin"]) for row in host.listed(guest.name)] == [(name, "boot") for name in names]
    host.done("revert", guest.name, names[0])
    assert guest.state() == states[0]
    (kept,) = [name for name in host.names(guest.name) if name.startswith("before-revert")]
    host.done("revert", guest.name, kept)
    assert guest.state() == present
    said = host.refused("create", guest.name, "x")
    assert "[snapshot.mixed]" in said
    assert "internal snapshots, and the two kinds must not be mixed" in said
    assert guest.state() == present
    host.done("revert", guest.name, names[1], "--discard", "--yes")
    assert guest.state() == states[1]
    host.done("prune", guest.name, "--keep", "0", "--yes")
    assert host.names(guest.name) == []
    assert guest.state() == states[1]
