"""What is said about a group that cannot be given, and what would help."""

from __future__ import annotations

import pytest
from topologies import Facts, Topology

from vfioctl.config.model import GuestConfig
from vfioctl.events.model import Domain, Hostdev
from vfioctl.frozen import replace
from vfioctl.host.model import PciDevice
from vfioctl.plugin import group
from vfioctl.plugin.types import Finding, Request

SOUND = PciDevice("0000:00:1f.3", 0x040300, 0x8086, 0xA348, driver="snd_hda_intel", iommu_group=8)
ISA = PciDevice("0000:00:1f.0", 0x060100, 0x8086, 0xA3C8, driver="lpc_ich", iommu_group=8)
SATA = PciDevice("0000:00:17.0", 0x010601, 0x8086, 0xA352, driver="nvme", iommu_group=8)
CARD = PciDevice("0000:01:00.0", 0x030000, 0x10DE, 0x2206, driver="nouveau", iommu_group=8)
NIC = PciDevice("0000:02:00.0", 0x020000, 0x8086, 0x1521, driver="igb", iommu_group=8)


def said(*devices, named=SOUND.address, mounted=(), only=(), refused=None, **settings):
    """(message, hint) of each finding, by the member that it is about; `refused` is what plugins refuse, by address."""
    host = Facts(Topology(devices, frozenset(mounted), frozenset(only)))
    domain = Domain("win11", "uuid", hostdevs=(Hostdev("pci", named),))
    request = Request("win11", "uuid", domain, GuestConfig("win11", **settings), host, (host.device(named),))
    found = group.findings(request, lambda _tried, _added: refused or {})
    return {item.message.split()[0]: (item.message, item.hint) for item in found}


def hint(*devices, about, **how):
    return said(*devices, **how)[about.address][1]


def test_a_bridge_with_an_ordinary_header_must_lose_its_driver():
    assert '"blacklist lpc_ich"' in hint(SOUND, ISA, about=ISA)
    assert "include" not in hint(SOUND, ISA, about=ISA)


def test_a_driver_that_is_built_in_is_unbound_by_hand():
    assert f"write {ISA.address} to" in hint(SOUND, replace(ISA, driver="xhci_hcd"), about=ISA)


def test_a_bridge_between_buses_cannot_go_so_the_card_moves_to_another_slot():
    port = replace(ISA, class_code=0x060400, driver="shpchp")
    assert "another slot" in hint(CARD, port, about=port, named=CARD.address)


def test_a_member_that_the_host_needs_is_named_with_the_reason():
    message, advice = said(SOUND, SATA, mounted=(SATA.address,))[SATA.address]
    assert "/srv" in message
    assert advice == "Unmount it first"


def test_a_member_that_may_go_is_taken_along_with_every_other_that_may():
    found = said(CARD, NIC, replace(NIC, address="0000:03:00.0"), named=CARD.address, include=("0000:09:00.0",))
    assert {advice for _, advice in found.values()} == {
        'The group can be given with this in the guest file: include = ["0000:09:00.0", "0000:02:00.0", "0000:03:00.0"]'
    }


def test_a_member_is_named_with_its_driver_and_the_setting_that_takes_it_along():
    message, advice = said(CARD, NIC, named=CARD.address)[NIC.address]
    assert NIC.driver in message
    assert f'include = ["{NIC.address}"]' in advice


@pytest.mark.parametrize(("hint", "advice"), [("Mend it.", "Mend it."), ("", "another slot")])
def test_a_member_that_its_plugin_refuses_is_not_advised_to_go_along(hint, advice):
    refused = {NIC.address: Finding("plugin.says", "It breaks.", hint=hint)}
    found = said(CARD, NIC, replace(NIC, address="0000:03:00.0"), named=CARD.address, refused=refused)
    assert "It breaks" in found[NIC.address][0]
    assert advice in found[NIC.address][1]
    assert "include" not in "".join(advice for _, advice in found.values())


def test_nothing_is_advised_that_helps_only_once_another_member_may_go():
    found = said(CARD, NIC, SATA, named=CARD.address, mounted=(SATA.address,))
    assert "include" not in found[NIC.address][1]
    assert SATA.address in found[NIC.address][1]


def test_nothing_is_advised_beside_something_impossible():
    port = replace(ISA, class_code=0x060400, driver="shpchp")
    found = said(CARD, SATA, port, named=CARD.address, mounted=(SATA.address,))
    assert "cannot be given" in found[SATA.address][1]
    assert port.address in found[SATA.address][1]


def test_a_member_that_carries_the_hosts_network_goes_once_the_guest_file_allows_it():
    found = said(CARD, NIC, named=CARD.address, only=(NIC.address,))
    assert f'allow_in_use = ["{NIC.address}"]' in found[NIC.address][1]
    allowed = said(CARD, NIC, named=CARD.address, only=(NIC.address,), allow_in_use=(NIC.address,))
    assert f'include = ["{NIC.address}"]' in allowed[NIC.address][1]


def test_what_helps_later_is_not_advised_before():
    found = said(CARD, NIC, ISA, named=CARD.address)
    assert "blacklist" in found[ISA.address][1]
    assert "include" not in found[NIC.address][1]


def test_what_the_guest_file_leaves_out_is_said_to_be_left_out():
    other = replace(SOUND, address="0000:00:1f.4", class_code=0x0C0500, driver="i801_smbus")
    message, advice = said(SOUND, other, exclude=(other.address,))[other.address]
    assert "exclude leaves it out" in message
    assert "exclude = []" in advice


def test_what_is_left_out_and_in_use_besides_is_said_to_be_both():
    virtual = replace(SATA, address="0000:02:00.1", physical=NIC.address, iommu_group=9)
    physical = replace(NIC, virtual=(virtual.address,))
    found = said(CARD, physical, virtual, named=CARD.address, mounted=(virtual.address,), exclude=(NIC.address,))
    message, advice = found[NIC.address]
    assert "exclude leaves it out. " in message
    assert f"{virtual.address} is the controller of a disk in use: sda1 is mounted on /srv" in message
    assert advice == "Unmount it first"


def test_two_functions_of_one_device_are_parted_by_nothing():
    port = replace(ISA, address="0000:00:1f.5", class_code=0x060400, driver="shpchp")
    assert "one device" in hint(SOUND, port, about=port)


def test_a_physical_function_and_its_virtual_one_in_one_group_are_parted_by_nothing():
    virtual = replace(NIC, address="0000:02:00.1", physical=NIC.address)
    physical = replace(NIC, virtual=(virtual.address,))
    assert "one device" in hint(virtual, physical, about=physical, named=virtual.address)
