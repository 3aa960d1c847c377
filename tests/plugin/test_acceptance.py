"""What speaks against giving one function, whoever names it."""

from __future__ import annotations

import pytest
from topologies import Facts, Topology

from vfioctl.frozen import replace
from vfioctl.host.dependents import Dependent
from vfioctl.host.model import PciDevice
from vfioctl.plugin.acceptance import against, findings

NIC = PciDevice("0000:03:00.0", 0x020000, 0x8086, 0x1521, driver="igb", iommu_group=1)
VF = "0000:03:10.2"
PHYSICAL = replace(NIC, virtual=(VF,))
MDEV = "5a7c1f0e-6d3b-4c2a-9f8e-0b1c2d3e4f50"


class Used(Facts):
    """Facts with one thing that depends on every function."""

    def __init__(self, device: PciDevice, item: Dependent) -> None:
        super().__init__(Topology((device,), frozenset(), frozenset()))
        self.item = item

    def dependents(self, address: str) -> tuple[Dependent, ...]:
        return (self.item,)


def host(*devices: PciDevice, mounted=(), only=()) -> Facts:
    return Facts(Topology(devices, frozenset(mounted), frozenset(only)))


def codes(device: PciDevice, *args: object, **more: object) -> list[str]:
    return [item.code for item in against(device, *args, **more)]


def test_a_function_that_nobody_uses_may_go():
    assert codes(NIC, host(NIC)) == []


@pytest.mark.parametrize(("code", "word"), [(0x060400, "behind it"), (0x060100, "Remove")])
def test_a_bridge_stays_and_what_is_behind_one_is_named_only_where_there_is_something(code, word):
    bridge = replace(NIC, class_code=code)
    (found,) = against(bridge, host(bridge))
    assert found.code == "device.bridge"
    assert word in found.hint


def test_a_disk_or_the_only_network_keeps_it():
    assert codes(NIC, host(NIC, mounted=(NIC.address,))) == ["device.mounted"]
    assert codes(NIC, host(NIC, only=(NIC.address,))) == ["device.only_network"]


def test_what_the_guest_file_allows_to_be_in_use_is_a_warning():
    assert codes(NIC, host(NIC, only=(NIC.address,)), allowed=(NIC.address,)) == []
    assert [item.code for item in findings(NIC, host(NIC, only=(NIC.address,)), allowed=(NIC.address,))] == [
        "device.only_network"
    ]


def test_what_its_virtual_functions_are_used_for_keeps_the_physical_one():
    assert codes(PHYSICAL, host(PHYSICAL, only=(VF,))) == ["device.only_network"]
    assert codes(PHYSICAL, host(PHYSICAL, only=(VF,)), allowed=(NIC.address,)) == []


def test_a_physical_function_does_not_go_with_its_virtual_one():
    assert codes(PHYSICAL, host(PHYSICAL), (VF,)) == ["device.physical"]
    assert codes(PHYSICAL, host(PHYSICAL), ("0000:04:00.0",)) == []


@pytest.mark.parametrize(("kind", "name"), [("virtual", VF), ("mediated", MDEV)])
def test_what_somebody_uses_keeps_it_naming_them(kind, name):
    (found,) = against(NIC, Used(NIC, Dependent(kind, name, ("guest small",))))
    assert found.code == f"device.{kind}_in_use"
    assert name in found.message
    assert "guest small" in found.message
    assert "guest small" in found.hint


@pytest.mark.parametrize(("unseen", "words"), [(False, "nobody uses it"), (True, "without root")])
def test_what_nobody_is_seen_to_use_is_a_warning_that_says_how_sure_it_is(unseen, words):
    (found,) = findings(NIC, Used(NIC, Dependent("virtual", VF, (), unseen)))
    assert found.code == "device.virtual_vanishes"
    assert words in found.message
