"""`vfioctl guest delete` on a real libvirtd: what goes is what was said, by count; what others need stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import snapshot_lab

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")

IMAGES = snapshot_lab.IMAGES
MEMBER, GROUP = 65534, 1  # nobody, in the group daemon


@pytest.fixture(scope="module")
def host(open_to_the_group: None, bare_host: Any) -> Any:
    bare_host.lab.virsh("pool-define-as", "default", "dir", "--target", IMAGES)
    bare_host.lab.virsh("pool-start", "default")
    return bare_host


@pytest.fixture
def guest(host: Any) -> Iterator[Any]:
    made = snapshot_lab.Guest(host, disks=2, uefi=True)
    host.lab.virsh("pool-refresh", "default")
    yield made
    host.lab.virsh("undefine", made.name, "--managed-save", "--nvram", "--snapshots-metadata", check=False)


def delete(host: Any, guest: Any, *more: str) -> str:
    ended = host.cli("guest", "delete", guest.name, *more)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said: str = ended.stdout + ended.stderr
    return said


def refused(host: Any, guest: Any, *more: str) -> str:
    """What the refusal says; nothing is gone."""
    before = host.files(), is_known(host, guest)
    ended = host.cli("guest", "delete", guest.name, "--yes", *more)
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert (host.files(), is_known(host, guest), host.left_open()) == (*before, [])
    said: str = ended.stdout + ended.stderr
    return said


def is_known(host: Any, guest: Any) -> bool:
    return guest.name in host.lab.virsh("list", "--all", "--name").stdout.split()


def test_its_disks_and_its_nvram_go_and_nothing_else(host: Any, guest: Any) -> None:
    neighbour = f"{IMAGES}/{guest.name}-vda.qcow2.bak"
    host.must("sh", "-c", f"printf precious > {neighbour}")
    before, mine = host.files(), {*guest.sources.values(), guest.nvram}
    said = delete(host, guest, "--yes")
    assert before - host.files() == mine
    assert host.files() - before == set()
    assert not is_known(host, guest)
    assert host.left_open() == []
    assert all(path in said for path in mine)


def test_copies_of_its_nvram_of_snapshots_inside_its_images_go_with_it_and_what_is_another_ones_stays(
    host: Any, guest: Any
) -> None:
    """As the hook leaves them: nothing but their names and their marks says whose they are."""
    ours, theirs = f"{guest.nvram}.vfioctl-20260101-120000-1a2b3c4d", f"{guest.nvram}.bak"
    host.must("cp", guest.nvram, ours)
    host.must("cp", guest.nvram, theirs)
    host.must("python3", "-c", f"import os; os.setxattr({ours!r}, 'user.vfioctl.operation', b'1a2b3c4d')")
    said = host.cli("guest", "delete", guest.name)
    assert f"a copy of its NVRAM: {ours}" in said.stdout + said.stderr
    delete(host, guest, "--yes")
    files = host.files()
    assert (ours in files, theirs in files) == (False, True)
    host.must("rm", theirs)


def test_with_keep_disks_they_stay_and_are_named(host: Any, guest: Any) -> None:
    before, nvram, disks = host.files(), guest.nvram, guest.sources
    said = delete(host, guest, "--keep-disks", "--yes")
    assert before - host.files() == {nvram}
    assert all(f"{path} stays" in said for path in disks.values())


def test_a_dry_run_says_what_goes_and_changes_nothing(host: Any, guest: Any) -> None:
    before = host.files()
    said = delete(host, guest, "--dry-run")
    assert host.files() == before
    assert is_known(host, guest)
    assert all(path in said for path in guest.sources.values())


def test_without_an_answer_nothing_goes(host: Any, guest: Any) -> None:
    before = host.files()
    ended = host.cli("guest", "delete", guest.name)
    assert ended.returncode == 3
    assert f"vfioctl guest delete {guest.name} --yes" in ended.stderr
    assert (host.files(), is_known(host, guest)) == (before, True)


def test_one_that_runs_stays(host: Any, guest: Any) -> None:
    plain = snapshot_lab.Guest(host)
    host.lab.virsh("start", plain.name, "--paused")
    try:
        assert "only a guest that is off is deleted" in refused(host, plain)
    finally:
        host.lab.virsh("destroy", plain.name)


def test_one_that_is_saved_stays(host: Any) -> None:
    plain = snapshot_lab.Guest(host)
    host.lab.virsh("start", plain.name)
    host.lab.virsh("managedsave", plain.name)
    try:
        assert "is saved" in refused(host, plain)
    finally:
        host.lab.virsh("managedsave-remove", plain.name)


@pytest.fixture
def kept(host: Any, guest: Any) -> Any:
    """The guest with three snapshots, one of which nobody goes on from."""
    host.done("create", guest.name, "clean")
    guest.write(0x20)
    host.done("create", guest.name, "tried")
    host.done("revert", guest.name, "clean", "--yes")
    host.lab.virsh("pool-refresh", "default")
    return guest


def own(host: Any, guest: Any) -> set[str]:
    """Every file that is named after the guest or its UUID."""
    return {path for path in host.files() if guest.name in path or guest.uuid in path}


def test_its_snapshots_go_with_it_by_count(host: Any, kept: Any) -> None:
    before, mine = host.files(), own(host, kept)
    assert len(mine) > len(kept.targets) * 3
    said = delete(host, kept, "--yes")
    assert before - host.files() == mine
    assert host.files() - before == set()
    assert (is_known(host, kept), host.left_open()) == (False, [])
    assert all(path in said for path in mine if path.endswith("qcow2"))


def test_with_keep_disks_the_newest_state_and_what_it_needs_are_named(host: Any, kept: Any) -> None:
    images = {path for path in own(host, kept) if path.startswith(IMAGES)}
    newest, first = kept.sources["vda"], f"{IMAGES}/{kept.name}-vda.qcow2"
    content = kept.content(newest)
    said = delete(host, kept, "--keep-disks", "--yes")
    assert own(host, kept) == images
    assert f"vda: {newest} stays" in said
    assert "Its newest state is there, and needs what is below: " in said
    assert first in said
    assert kept.content(newest) == content


def test_an_image_of_a_snapshot_that_another_guest_lies_above_keeps_all(host: Any, kept: Any) -> None:
    base, clone = f"{IMAGES}/{kept.name}-vdb.qcow2", f"{IMAGES}/{kept.name}-clone.qcow2"
    host.must("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, clone)
    twin = snapshot_lab.Guest(host)
    twin.define({"vda": (clone, "qcow2")})
    assert f"{base} is needed by {twin.name}" in refused(host, kept)
    host.lab.virsh("undefine", twin.name)
    host.lab.virsh("pool-refresh", "default")
    assert f"{base} is needed by {clone}" in refused(host, kept)


def test_the_images_of_a_disk_that_was_taken_from_it_stay(host: Any, kept: Any) -> None:
    theirs = {path for path in own(host, kept) if path.startswith(f"{IMAGES}/{kept.name}-vdb")}
    host.lab.virsh("detach-disk", kept.name, "vdb", "--config")
    said = delete(host, kept, "--yes")
    assert {path for path in own(host, kept) if path.startswith(IMAGES)} == theirs
    assert "stays, since it is of a disk that the guest has no more" in said


def test_a_record_that_cannot_be_read_stays_with_what_it_names(host: Any, guest: Any) -> None:
    record = f"{snapshot_lab.RECORDS}/{guest.uuid}/odd.json"
    host.must("sh", "-c", f"mkdir -p $(dirname {record}); echo '[]' > {record}")
    assert f"{record} stays, since it cannot be read" in delete(host, guest, "--yes")
    assert record in host.files()


def test_snapshots_of_libvirts_own_go_too(host: Any, guest: Any) -> None:
    host.lab.virsh("snapshot-create-as", guest.name, "theirs", "--disk-only", "--diskspec", "vda,snapshot=external")
    overlay, before = guest.sources["vda"], host.files()
    host.lab.virsh("pool-refresh", "default")
    said = delete(host, guest, "--yes")
    assert overlay in said
    assert own(host, guest) == set()
    assert host.files() < before


@pytest.mark.parametrize("how", ["path", "symlink", "hard link"])
def test_a_disk_that_another_guest_has_stays_by_whichever_name(host: Any, guest: Any, how: str) -> None:
    shared = guest.sources["vda"]
    other = {"path": shared, "symlink": f"{shared}.sym", "hard link": f"{shared}.hard"}[how]
    if how != "path":
        host.must("ln", *(("-s",) if how == "symlink" else ()), shared, other)
    twin = snapshot_lab.Guest(host)
    twin.define({"vda": (other, "qcow2")})
    assert f"{shared} is needed by {twin.name}" in refused(host, guest)
    delete(host, guest, "--yes", "--keep-disks")
    host.lab.virsh("undefine", twin.name)


def test_the_base_of_a_clone_stays_though_no_guest_has_that(host: Any, guest: Any) -> None:
    base = guest.sources["vdb"]
    clone = f"{IMAGES}/{guest.name}-clone.qcow2"
    host.must("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, clone)
    host.lab.virsh("pool-refresh", "default")
    assert f"{base} is needed by {clone}" in refused(host, guest)


def test_the_nvram_of_a_twin_stays(host: Any, guest: Any) -> None:
    twin = snapshot_lab.Guest(host)
    twin.define({}, nvram=guest.nvram)
    nvram = guest.nvram
    said = delete(host, guest, "--yes")
    assert f"{nvram} stays, since {twin.name} has it" in said
    assert nvram in host.files()
    host.lab.virsh("undefine", twin.name, "--keep-nvram")


def test_a_cd_stays(host: Any) -> None:
    plain = snapshot_lab.Guest(host)
    iso = f"{IMAGES}/{plain.name}.iso"
    host.must("truncate", "-s", "64K", iso)
    host.lab.virsh("attach-disk", plain.name, iso, "sda", "--type", "cdrom", "--targetbus", "scsi", "--config")
    assert f"{iso} stays, since it is a CD" in delete(host, plain, "--yes")
    assert iso in host.files()


def test_the_guest_file_and_the_pin_of_a_managed_one_go(host: Any, guest: Any) -> None:
    config, pin = f"/etc/vfioctl/guests/{guest.name}.toml", f"/var/lib/vfioctl/identity/{guest.uuid}.json"
    host.must("sh", "-c", f"mkdir -p $(dirname {config} {pin}); : > {config}; echo '{{}}' > {pin}")
    said = delete(host, guest, "--yes")
    assert config in said
    assert host.run("ls", config, pin).returncode != 0


def test_a_member_of_the_group_deletes_one_with_its_volumes(host: Any, guest: Any) -> None:
    before, mine = host.files(), {*guest.sources.values(), guest.nvram}
    ended = host.cli_of(MEMBER, GROUP, "guest", "delete", guest.name, "--yes")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert before - host.files() == mine
    assert not is_known(host, guest)


# Killed at each boundary

BOUNDARIES = range(1, 7)  # two a step: undefine, and a file each for two disks


@pytest.mark.matrix
@pytest.mark.parametrize("how", ["at once", "after a power cut", "without plugins"])
@pytest.mark.parametrize("number", BOUNDARIES)
def test_one_that_was_killed_is_finished(host: Any, guest: Any, number: int, how: str) -> None:
    before, mine = host.files(), {*guest.sources.values(), guest.nvram}
    host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert host.cli("guest", "delete", guest.name, "--yes").returncode != 0
    host.must("sh", "-c", "rm -f /.kit/*")
    if how != "at once":
        host.restart(daemon=how == "after a power cut")
    said = host.recover_uninstalled() if how == "without plugins" else host.recover()
    assert f"guest delete guest:{guest.name} was interrupted" in said
    assert before - host.files() == mine
    assert host.files() - before == set()
    assert not is_known(host, guest)
    assert host.left_open() == []


@pytest.mark.matrix
@pytest.mark.parametrize("number", range(1, 33, 2))
def test_one_with_snapshots_that_was_killed_is_finished(host: Any, kept: Any, number: int) -> None:
    before, mine = host.files(), own(host, kept)
    host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert host.cli("guest", "delete", kept.name, "--yes").returncode != 0
    host.must("sh", "-c", "rm -f /.kit/*")
    host.recover()
    assert before - host.files() == mine
    assert (is_known(host, kept), host.left_open()) == (False, [])


@pytest.mark.matrix
@pytest.mark.parametrize("number", BOUNDARIES)
def test_somebody_elses_guest_of_that_name_keeps_what_it_has(host: Any, guest: Any, number: int) -> None:
    disks = guest.sources
    host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert host.cli("guest", "delete", guest.name, "--yes").returncode != 0
    host.must("sh", "-c", "rm -f /.kit/*")
    host.lab.virsh("undefine", guest.name, "--keep-nvram", check=False)
    theirs = host.lab.define(guest.name)
    kept = f"{disks['vda']}"
    there = kept in host.files()
    if there:
        host.lab.virsh("attach-disk", guest.name, kept, "vda", "--config", "--subdriver", "qcow2")
    host.recover()
    assert host.lab.virsh("domuuid", guest.name).stdout.strip() == theirs
    assert (kept in host.files()) == there
    host.lab.virsh("undefine", guest.name)
