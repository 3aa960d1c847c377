"""Mediated devices: whose they are, and who uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vfioctl.host import mediated

if TYPE_CHECKING:
    from host_tree import Tree

PARENT, ONE, TWO = "0000:00:02.0", "5a7c1f0e-6d3b-4c2a-9f8e-0b1c2d3e4f50", "6b8d2f1e-7e4c-4d3b-8a9f-1c2d3e4f5061"


def process(tree: Tree, pid: int, *arguments: str, opens: str = "") -> None:
    tree.write(f"proc/{pid}/cmdline", "\0".join(arguments) + "\0")
    tree.write(f"proc/{pid}/comm", f"{arguments[0]}\n")
    (tree.root / f"proc/{pid}/fd").mkdir()
    if opens:
        tree.link(f"proc/{pid}/fd/7", opens)


def with_two(tree: Tree) -> None:
    base = tree.device(PARENT, driver="i915")
    for uuid in (ONE, TWO):
        tree.write(f"{base}/{uuid}/remove")
        tree.link(f"sys/bus/mdev/devices/{uuid}", f"../../../devices/pci0000:00/{PARENT}/{uuid}")


def test_a_function_names_its_mediated_devices_and_each_its_parent(tree: Tree) -> None:
    with_two(tree)
    assert tree.host().device(PARENT).mediated == (ONE, TWO)
    assert mediated.parent_of(tree.paths, ONE) == PARENT
    assert mediated.parent_of(tree.paths, "00000000-0000-0000-0000-000000000000") is None


def test_its_user_is_who_names_it_and_has_vfio_open(tree: Tree) -> None:
    with_two(tree)
    path = f"vfio-pci,sysfsdev=/sys/bus/mdev/devices/{ONE}"
    process(tree, 100, "qemu", "-name", "guest=small", "-device", path, opens="/dev/vfio/77")
    process(tree, 101, "mdevctl", path)
    process(tree, 102, "qemu", "-device", f"vfio-pci,sysfsdev=/sys/devices/x/{TWO}", opens="/dev/vfio/78")
    assert mediated.named_by(tree.paths, (ONE, TWO)) == {ONE: (100,), TWO: (102,)}
    users = {item.name: item.users for item in tree.host().dependents(PARENT)}
    assert users == {ONE: ("guest small",), TWO: ("process 102 (qemu)",)}


@pytest.mark.parametrize("link", [True, False], ids=["by its link", "by the list of the group"])
def test_its_user_has_the_node_of_its_group_open(tree: Tree, link: bool) -> None:  # noqa: FBT001 -- a parameter
    with_two(tree)
    if link:
        tree.link(f"sys/devices/pci0000:00/{PARENT}/{ONE}/iommu_group", "../../../../kernel/iommu_groups/77")
    else:
        tree.link(f"sys/kernel/iommu_groups/77/devices/{ONE}", "../../../../devices/x")
    tree.link("dev/vfio/77", "/dev/null")
    assert [node.path for node in mediated.nodes(tree.paths, PARENT, ONE)] == ["/dev/vfio/77"]
    assert mediated.nodes(tree.paths, PARENT, TWO) == ()


def test_who_uses_one_below_a_virtual_function_uses_that_function(tree: Tree) -> None:
    with_two(tree)
    tree.device("0000:00:01.0")
    tree.link("sys/devices/pci0000:00/0000:00:01.0/virtfn0", f"../{PARENT}")
    process(tree, 100, "qemu", "-name", "guest=small", "-device", f"vfio-pci,sysfsdev=/x/{ONE}", opens="/dev/vfio/77")
    (found,) = tree.host().dependents("0000:00:01.0")
    assert (found.kind, found.name, found.users) == ("virtual", PARENT, ("guest small",))


def test_one_that_nobody_uses_has_no_user(tree: Tree) -> None:
    with_two(tree)
    assert [item.users for item in tree.host().dependents(PARENT)] == [(), ()]


def test_a_function_without_any_has_nothing_that_depends_on_it(tree: Tree) -> None:
    tree.device(PARENT)
    assert tree.host().dependents(PARENT) == ()
