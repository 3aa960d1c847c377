"""IOMMU groups, and who keeps one from being given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from host_tree import Tree

CARD, SOUND, OTHER = "0000:01:00.0", "0000:01:00.1", "0000:02:00.0"


def test_the_iommu_is_on_when_the_kernel_shows_one(tree: Tree) -> None:
    assert not tree.host().iommu_on()
    tree.write("sys/class/iommu/dmar0/x")
    assert tree.host().iommu_on()


def test_a_group_names_its_number_type_and_members(tree: Tree) -> None:
    tree.device(CARD, group=14)
    tree.device(SOUND, group=14)
    group = tree.host().group(CARD)
    assert group is not None
    assert (group.number, group.type, group.members) == (14, "DMA-FQ", (CARD, SOUND))


def test_there_is_no_group_without_an_iommu(tree: Tree) -> None:
    tree.device(CARD)
    assert tree.host().group(CARD) is None
    assert tree.host().unviable((CARD,)) == ()


def test_a_group_link_that_names_no_number_is_no_group(tree: Tree) -> None:
    base = tree.device(CARD)
    tree.link(f"{base}/iommu_group", "../nowhere")
    assert tree.host().group(CARD) is None


def test_a_group_without_type_is_of_unknown_type(tree: Tree) -> None:
    tree.device(CARD, group=3)
    (tree.root / "sys/kernel/iommu_groups/3/type").unlink()
    group = tree.host().group(CARD)
    assert group is not None
    assert group.type == "unknown"


def test_a_member_with_a_host_driver_makes_the_group_unviable(tree: Tree) -> None:
    tree.device(CARD, driver="nvidia", group=1)
    tree.device(OTHER, driver="nvme", group=1)
    assert [device.address for device in tree.host().unviable((CARD,))] == [OTHER]


def test_a_member_that_is_given_along_is_no_obstacle(tree: Tree) -> None:
    tree.device(CARD, driver="nvidia", group=1)
    tree.device(SOUND, driver="snd_hda_intel", group=1)
    assert tree.host().unviable((CARD, SOUND)) == ()


@pytest.mark.parametrize("driver", [None, "vfio-pci", "mlx5_vfio_pci", "pci-stub", "pcieport"])
def test_a_member_that_does_no_harm_is_no_obstacle(tree: Tree, driver: str | None) -> None:
    tree.device(CARD, driver="nvidia", group=1)
    tree.device(OTHER, driver=driver, group=1)
    assert tree.host().unviable((CARD,)) == ()


def test_members_of_other_groups_are_no_obstacle(tree: Tree) -> None:
    tree.device(CARD, driver="nvidia", group=1)
    tree.device(OTHER, driver="nvme", group=2)
    assert tree.host().unviable((CARD,)) == ()


def test_a_member_that_vanished_is_no_obstacle(tree: Tree) -> None:
    tree.device(CARD, driver="nvidia", group=1)
    tree.link(f"sys/kernel/iommu_groups/1/devices/{OTHER}", "../../gone")
    assert tree.host().unviable((CARD,)) == ()


def test_an_address_that_does_not_exist_has_no_obstacles(tree: Tree) -> None:
    assert tree.host().unviable((CARD,)) == ()
