"""`vfioctl snapshot` where something is in the way, on a real libvirtd: one sentence, and nothing half-done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import snapshot_lab
from forwarding import forwarded

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_snapshot")

MEMBER, GROUP = 65534, 1  # nobody, as a member of the group daemon
SECONDS = 60.0


@pytest.fixture(scope="module")
def host(module_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    module_lab.let_members_ask()
    with snapshot_lab.silent(module_lab, tmp_path_factory.mktemp("bad-input")) as made:
        yield made


@pytest.fixture
def make(host: Any) -> Callable[..., Any]:
    return lambda **shape: snapshot_lab.Guest(host, **shape)


def test_of_two_at_once_the_second_is_told_who_is_first(host: Any, make: Callable[..., Any]) -> None:
    guest = make()
    with host.standing_still(2, "snapshot", "create", guest.name, "first") as first:
        second = host.cli("snapshot", "create", guest.name, "second")
        assert second.returncode == 3
        assert f"snapshot create guest:{guest.name} is not finished, it stands at applying." in second.stderr
    assert first.wait(SECONDS) == 0
    assert host.names(guest.name) == ["first"]
    assert host.left_open() == []


def test_a_guest_that_was_edited_between_plan_and_change_keeps_what_was_edited(
    host: Any, make: Callable[..., Any]
) -> None:
    guest = make(uefi=True)
    before, present = host.files(), guest.state()
    with host.standing_still(1, "snapshot", "create", guest.name, "clean") as create:
        host.lab.virsh("desc", guest.name, "--config", "--title", "edited")
        edited = host.lab.virsh("dumpxml", "--inactive", guest.name).stdout
    assert create.wait(SECONDS) != 0
    assert host.lab.virsh("dumpxml", "--inactive", guest.name).stdout == edited
    assert (host.files(), guest.state(), host.names(guest.name)) == (before, present, [])
    assert host.left_open() == []


def test_without_room_for_the_new_image_nothing_is_left(host: Any, make: Callable[..., Any]) -> None:
    guest, small = make(), f"{snapshot_lab.IMAGES}/small"
    host.must("sh", "-c", f"mkdir {small} && mount -t tmpfs -o size=4M,mode=0755 tmpfs {small}")
    disk = f"{small}/{guest.name}.qcow2"
    host.must("qemu-img", "create", "-q", "-f", "qcow2", disk, "4M")
    guest.define({"vda": (disk, "qcow2")})
    try:
        before, xml = host.files(), guest.sources
        ended = host.cli("snapshot", "create", guest.name, "clean")
        assert ended.returncode == 3
        assert "[disk.no_room]" in ended.stderr
        assert (host.files(), guest.sources, host.names(guest.name)) == (before, xml, [])
        assert host.left_open() == []
    finally:
        host.must("umount", small)


def test_a_member_of_the_group_sees_what_libvirt_knows_and_changes_nothing(
    host: Any, make: Callable[..., Any]
) -> None:
    guest = make(uefi=True)
    host.done("create", guest.name, "clean")
    before = host.files()
    listed = host.cli_of(MEMBER, GROUP, "snapshot", "list", guest.name)
    assert listed.returncode == 0, listed.stderr
    assert "clean" in listed.stdout
    assert "root sees the snapshots of vfioctl" in listed.stdout + listed.stderr
    assert host.cli_of(MEMBER, GROUP, "snapshot", "show", guest.name, "clean").returncode == 0
    for verb in (("create", guest.name, "x"), ("revert", guest.name, "clean"), ("delete", guest.name, "clean", "--yes"),
                 ("prune", guest.name, "--keep", "0", "--yes")):  # fmt: skip
        ended = host.cli_of(MEMBER, GROUP, "snapshot", *verb)
        assert ended.returncode != 0
        assert "root" in ended.stderr
    assert host.files() == before
    assert host.names(guest.name) == ["clean"]


def test_a_snapshot_of_libvirt_has_no_nvram_so_only_its_disks_are_put_back(
    host: Any, make: Callable[..., Any]
) -> None:
    guest = make(uefi=True)
    clean, new = guest.state(), f"{snapshot_lab.IMAGES}/{guest.name}-theirs.qcow2"
    host.lab.virsh("snapshot-create-as", guest.name, "theirs", "--disk-only", "--diskspec", f"vda,file={new}")
    guest.write(0x40)
    assert "[snapshot.without_nvram]" in host.refused("revert", guest.name, "theirs")
    host.done("revert", guest.name, "theirs", "--disks-only", "--discard", "--yes")
    assert guest.state()["vda"] == clean["vda"]
    assert guest.state()["nvram"] != clean["nvram"]
    assert "[snapshot.not_ours]" in host.refused("delete", guest.name, "theirs", "--yes")


def test_a_name_of_nothing_is_no_name(host: Any, make: Callable[..., Any]) -> None:
    guest = make()
    assert "[snapshot.bad_name]" in host.refused("create", guest.name, "")
    assert host.names(guest.name) == []


def test_a_snapshot_is_listed_and_shown(host: Any, make: Callable[..., Any]) -> None:
    guest = make(uefi=True, disks=3)
    host.done("create", guest.name, "clean")
    (row,) = host.listed(guest.name)
    assert (row["name"], row["origin"], row["method"], row["nvram"]) == ("clean", "create", "external", True)
    assert row["disks"] == ["vda", "vdb", "vdc"]
    shown = host.done("show", guest.name, "clean")
    assert all(f"{guest.name}-{target}.qcow2" in shown for target in row["disks"])


def test_a_guest_of_another_node_is_refused(host: Any, make: Callable[..., Any]) -> None:
    guest = make()
    before = host.files()
    with forwarded(host.lab) as node:
        assert host.cli("snapshot", "list", guest.name, "--node", node).returncode == 0
        for verb in (("create", guest.name, "x"), ("revert", guest.name, "x"), ("delete", guest.name, "x", "--yes")):
            assert "[snapshot.elsewhere]" in host.refused(*verb, "--node", node)
    assert host.files() == before
