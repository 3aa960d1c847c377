"""Drives that the kernel gives to others: what they are named by, and who does not name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vfioctl.host import claims, exclusive
from vfioctl.host.claims import Kind

if TYPE_CHECKING:
    from host_tree import Tree

DRIVE = "0000:02:00.0"
CONTROLLER = f"devices/pci0000:00/{DRIVE}/nvme/nvme1"
SUBSYSTEM = "devices/virtual/nvme-subsystem/nvme-subsys0"
NVMET = "sys/kernel/config/nvmet/subsystems/backup"
LIO = "sys/kernel/config/target/core"
LINK = "/dev/disk/by-id/nvme-Micron_7450_A1"


def block(tree: Tree, name: str, place: str, number: str) -> None:
    tree.write(f"sys/{place}/{name}/dev", f"{number}\n")
    tree.link(f"sys/class/block/{name}", f"../../{place}/{name}")


@pytest.fixture
def drive(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """An NVMe drive with a partition, which the kernel calls free."""
    monkeypatch.setattr(exclusive, "ask", lambda _paths, _blocks: ())
    monkeypatch.setattr("os.geteuid", lambda: 0)
    block(tree, "nvme1n1", CONTROLLER, "259:0")
    block(tree, "nvme1n1p1", f"{CONTROLLER}/nvme1n1", "259:1")
    tree.write(f"sys/{CONTROLLER}/nvme1n1/nvme1n1p1/partition", "1\n")
    for name in ("nvme1n1", "nvme1n1p1"):
        tree.write(f"dev/{name}")
    return tree


def namespace(tree: Tree, path: str, *, enabled: str = "1", place: str = "namespaces/1") -> None:
    tree.write(f"{NVMET}/{place}/device_path", f"{path}\n")
    tree.write(f"{NVMET}/{place}/enable", f"{enabled}\n")


def backstore(tree: Tree, path: str, *, enabled: str = "1") -> None:
    tree.write(f"{LIO}/fileio_0/disk/udev_path", f"{path}\n")
    tree.write(f"{LIO}/fileio_0/disk/enable", f"{enabled}\n")


def held(tree: Tree) -> list[tuple[str, Kind]]:
    return [(one.device, one.kind) for one in claims.of_function(tree.paths, DRIVE)]


@pytest.mark.parametrize("export", [namespace, backstore])
@pytest.mark.parametrize(("enabled", "found"), [("1", [("nvme1n1", Kind.HELD)]), ("0", [])])
def test_a_drive_that_the_host_serves_over_a_network_is_held(drive: Tree, export, enabled: str, found: list) -> None:
    export(drive, "/dev/nvme1n1", enabled=enabled)
    assert held(drive) == found


@pytest.mark.parametrize("export", [namespace, backstore])
def test_a_drive_that_is_served_by_a_link_to_it_is_held(drive: Tree, export) -> None:
    drive.link(LINK, "../../nvme1n1p1")
    export(drive, LINK)
    assert held(drive) == [("nvme1n1p1", Kind.HELD)]


@pytest.mark.parametrize("export", [namespace, backstore])
def test_a_link_that_is_gone_since_may_have_led_to_any_drive(drive: Tree, export) -> None:
    export(drive, LINK)
    [(what, kind)] = held(drive)
    assert (what.startswith(f"{LINK}, "), kind) == (True, Kind.UNKNOWN)


@pytest.mark.parametrize("path", ["/dev/nvme9n1", "/srv/exports/disk.img"])
def test_what_is_no_drive_of_this_function_is_no_claim(drive: Tree, path: str) -> None:
    namespace(drive, path)
    backstore(drive, path)
    assert held(drive) == []


def test_a_controller_that_is_served_as_a_whole_has_its_drive(drive: Tree) -> None:
    namespace(drive, "/dev/nvme1", place="passthru")
    assert held(drive) == [("nvme1n1", Kind.HELD)]


@pytest.mark.parametrize(("name", "enabled"), [("nvme1", "0"), ("nvme2", "1")])
def test_another_controller_or_one_that_is_not_served_has_it_not(drive: Tree, name: str, enabled: str) -> None:
    namespace(drive, f"/dev/{name}", enabled=enabled, place="passthru")
    assert held(drive) == []


def test_with_multipath_the_drive_of_a_controller_is_found_by_its_subsystem(drive: Tree) -> None:
    """The number of a namespace is its subsystem's there, not the controller's."""
    block(drive, "nvme0n1", SUBSYSTEM, "259:7")
    drive.link(f"sys/{SUBSYSTEM}/nvme1", f"../../../../{CONTROLLER}")
    namespace(drive, "/dev/nvme1", place="passthru")
    assert ("nvme0n1", Kind.HELD) in held(drive)


def test_a_node_of_another_name_is_known_by_its_number(drive: Tree) -> None:
    """/dev/null stands for the node: a test may make none."""
    drive.link("sys/dev/char/1:3", f"../../{CONTROLLER}")
    drive.link("dev/mine", "/dev/null")
    namespace(drive, "/dev/mine", place="passthru")
    assert held(drive) == [("nvme1n1", Kind.HELD)]
