"""What goes along with the devices that a guest names, and what must stay, on whole simulated machines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plans import codes, only, planned

from vfioctl.findings import Severity
from vfioctl.handoff.notes import devices
from vfioctl.testing import parts, scenarios
from vfioctl.testing.model import FakeDevice, FakeLink, FakeProcess

GPU, SOUND = scenarios.GPU, scenarios.SOUND
BRIDGE = "0000:00:01.0"
BASE = parts.headless()
MDEV = "5a7c1f0e-6d3b-4c2a-9f8e-0b1c2d3e4f50"


def headless(*devices, modules=()):
    """A server with its chipset and `devices`."""
    return replace(BASE, devices=(*parts.chipset(), *devices), modules=(*modules, *parts.common_modules()))


def nic(address, *, group, driver="igb", **more):
    ids = (0x8086, 0x1521, 0x020000)
    return FakeDevice(address, *ids, driver=driver, drivers=(driver,), group=group, bridge=BRIDGE, **more)


NIC = parts.module("igb", "network")
VF = parts.module("igbvf", "network")


def test_ports_of_a_network_card_in_groups_of_their_own_go_one_by_one(start_host):
    ports = tuple(nic(f"0000:03:00.{n}", group=30 + n) for n in range(4))
    plan = planned(start_host(headless(*ports, modules=(NIC,))), "0000:03:00.1")
    assert (devices(plan), codes(plan)) == (("0000:03:00.1",), [])


def test_ports_of_a_network_card_in_one_group_go_together(start_host):
    ports = tuple(nic(f"0000:03:00.{n}", group=30) for n in range(4))
    plan = planned(start_host(headless(*ports, modules=(NIC,))), "0000:03:00.1")
    assert sorted(devices(plan)) == [port.address for port in ports]
    assert plan.blocks == ()


def test_a_cards_sound_in_a_group_of_its_own_goes_along_by_its_device_link(start_host):
    gpu, sound = parts.nvidia_card(GPU, group=14)
    machine = scenarios.two_gpu()
    there = (gpu, replace(sound, group=15), *(one for one in machine.devices if one.address not in (GPU, SOUND)))
    assert devices(planned(start_host(replace(machine, devices=there)), GPU)) == (GPU, SOUND)


def test_sound_alone_leaves_its_card_where_the_groups_allow_it(start_host):
    gpu, sound = parts.nvidia_card(GPU, group=14)
    machine = scenarios.two_gpu()
    there = (gpu, replace(sound, group=15), *(one for one in machine.devices if one.address not in (GPU, SOUND)))
    assert devices(planned(start_host(replace(machine, devices=there)), SOUND)) == (SOUND,)


def test_a_function_that_is_left_out_is_not_given(start_host):
    processor = parts.amdgpu_card("0000:05:00.0", group=12, bridge="0000:00:08.1", device=0x15BF)
    apart = tuple(replace(one, group=12 + n) for n, one in enumerate(processor))
    fake = start_host(headless(*apart, modules=parts.amdgpu_modules()))
    assert devices(planned(fake, "0000:05:00.0")) == ("0000:05:00.0", "0000:05:00.1")
    assert devices(planned(fake, "0000:05:00.0", exclude=("0000:05:00.1",))) == ("0000:05:00.0",)


def test_a_group_that_is_unviable_by_what_is_left_out_says_so_and_how_to_take_it_along(start_host):
    plan = planned(start_host(scenarios.two_gpu()), GPU, exclude=(SOUND,))
    found = only(plan.blocks, "group.unviable")
    assert "exclude" in found.message
    assert "exclude = []" in found.hint
    assert devices(plan) == (GPU,)


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({}, "the domain names"), ({"include": ("0000:03:00.1",)}, "the setting include names"),
        ({"devices": ("0000:03:00.1",)}, "the setting devices names"),
    ],
)  # fmt: skip
def test_what_is_named_and_left_out_is_refused_with_both_places(start_host, settings, where):
    ports = tuple(nic(f"0000:03:00.{n}", group=30 + n) for n in range(2))
    named = "0000:03:00.0" if settings else "0000:03:00.1"
    plan = planned(start_host(headless(*ports, modules=(NIC,))), named, exclude=("0000:03:00.1",), **settings)
    assert where in only(plan.blocks, "exclude.named").message
    assert "0000:03:00.1" not in devices(plan)


def test_a_function_to_leave_out_that_is_not_there_is_a_warning(start_host):
    plan = planned(start_host(scenarios.two_gpu()), GPU, exclude=("0000:09:00.0",))
    assert only(plan.findings, "exclude.missing").severity is Severity.WARN
    assert plan.blocks == ()


def test_a_device_that_shares_no_group_is_not_taken_along_by_include(start_host):
    """A line that an earlier slot of the card has left behind: another device is there now."""
    board = "0000:00:1f.3"
    plan = planned(start_host(scenarios.two_gpu()), GPU, include=(board,))
    assert (devices(plan), plan.blocks) == ((GPU, SOUND), ())
    found = only(plan.findings, "include.no_member")
    assert (found.severity, board in found.message) == (Severity.WARN, True)
    assert f"config add devices {board} --guest win11" in found.hint


def test_a_function_of_the_same_slot_goes_by_include_from_a_group_of_its_own(start_host):
    ports = (nic("0000:03:00.0", group=30), nic("0000:03:00.1", group=31))
    plan = planned(start_host(headless(*ports, modules=(NIC,))), "0000:03:00.0", include=("0000:03:00.1",))
    assert (devices(plan), plan.blocks) == (("0000:03:00.0", "0000:03:00.1"), ())


def test_what_devices_names_needs_no_group_of_the_guest(start_host):
    board = "0000:00:1f.3"
    plan = planned(start_host(scenarios.two_gpu()), GPU, devices=(board,), include=(board,))
    assert (devices(plan), "include.no_member" in codes(plan)) == ((GPU, board, SOUND), False)


def test_a_member_that_is_included_brings_those_of_its_own_slot(start_host):
    """Each of them shares a group with the one before."""
    ports = (nic("0000:03:00.0", group=30), nic("0000:04:00.0", group=30), nic("0000:04:00.1", group=31))
    tied = replace(ports[2], consumers=("0000:04:00.0",))
    settings = {"include": ("0000:04:00.1", "0000:04:00.0")}
    plan = planned(start_host(headless(*ports[:2], tied, modules=(NIC,))), "0000:03:00.0", **settings)
    assert set(devices(plan)) == {port.address for port in ports}
    assert "include.no_member" not in codes(plan)


def test_a_disk_that_is_included_is_looked_at(start_host):
    disk = FakeDevice(
        "0000:04:00.0", 0x144D, 0xA808, 0x010802, driver="nvme", drivers=("nvme",), group=30, bridge=BRIDGE,
        disk="nvme1n1", mounted_at="/srv",
    )  # fmt: skip
    machine = headless(nic("0000:03:00.0", group=30), disk, modules=(NIC,))
    plan = planned(start_host(machine), "0000:03:00.0", include=(disk.address,))
    assert "/srv" in only(plan.blocks, "device.mounted").message


def test_a_companion_that_the_host_needs_is_not_taken_along(start_host):
    gpu, sound = parts.nvidia_card(GPU, group=14)
    disk = FakeDevice(
        "0000:01:00.2", 0x144D, 0xA808, 0x010802, driver="nvme", drivers=("nvme",), group=15, bridge=BRIDGE,
        disk="nvme1n1", mounted_at="/srv",
    )  # fmt: skip
    tied = replace(gpu, consumers=(SOUND, "0000:01:00.2"), connectors=(), boot_vga=None, framebuffer=None)
    machine = headless(tied, sound, disk, modules=parts.nvidia_modules("550.163.01"))
    plan = planned(start_host(machine), GPU)
    assert devices(plan) == (GPU, SOUND)
    assert plan.blocks == ()
    assert "0000:01:00.2" in only(plan.findings, "device.stays").message


def test_a_second_card_that_its_plugin_would_refuse_is_not_advised_to_go_along(start_host):
    shown, other = parts.nvidia_card(GPU, group=14), parts.nvidia_card("0000:02:00.0", group=33, boot_vga=False)
    port = nic("0000:03:00.0", group=33)
    spec = headless(*shown, *other, port, modules=(*parts.nvidia_modules("595.71.05"), NIC))
    plan = planned(start_host(spec), port.address)
    first, second = (finding for finding in plan.blocks if finding.code == "group.unviable")
    assert "an unbind never returns" in first.message
    assert "another driver version" in first.hint
    assert "include" not in first.hint + second.hint


def test_a_processors_graphics_are_not_advised_to_go_along(start_host):
    screen = parts.amdgpu_card("0000:0e:00.0", group=33, bridge="0000:00:08.1", device=0x164E)[0]
    spec = headless(screen, nic("0000:03:00.0", group=33), modules=(*parts.amdgpu_modules(), NIC))
    found = only(planned(start_host(spec), "0000:03:00.0").blocks, "group.unviable")
    assert "powers them off" in found.message
    assert "include" not in found.hint


# SR-IOV

PF, ONE, TWO = "0000:03:00.0", "0000:03:00.1", "0000:03:10.2"


def with_virtual(*, group=30, users=()):
    """A network card with two virtual functions, the second on vfio-pci and in a slot of its own."""
    first = nic(ONE, group=30, driver="igbvf", physical=PF)
    second = nic(TWO, group=32, driver="vfio-pci", physical=PF)
    common = (replace(one, loaded=one.loaded or one.name.startswith("vfio")) for one in parts.common_modules())
    return replace(
        BASE, devices=(*parts.chipset(), nic(PF, group=group), first, second), modules=(NIC, VF, *common),
        processes=(*BASE.processes, *users),
    )  # fmt: skip


def qemu(*opens, name="small", pid=5_000_700, rest=()):
    return FakeProcess(
        "qemu-system-x86", pid=pid, unit="machine-qemu.scope", opens=opens,
        cmdline=("qemu-system-x86_64", "-name", f"guest={name},debug-threads=on", *rest),
    )  # fmt: skip


def test_a_virtual_function_goes_alone(start_host):
    plan = planned(start_host(with_virtual(group=29)), ONE)
    assert (devices(plan), plan.blocks) == ((ONE,), ())


def test_a_virtual_function_never_takes_its_physical_function_not_even_out_of_one_group(start_host):
    plan = planned(start_host(with_virtual()), ONE)
    assert devices(plan) == (ONE,)
    found = only(plan.blocks, "group.unviable")
    assert PF in found.message
    assert "include" not in found.hint


def test_a_physical_function_whose_virtual_one_a_guest_uses_is_refused_naming_the_guest(start_host):
    plan = planned(start_host(with_virtual(group=29, users=(qemu("/dev/vfio/32"),))), PF)
    found = only(plan.blocks, "device.virtual_in_use")
    assert TWO in found.message
    assert "guest small" in found.message


def test_a_physical_function_is_refused_while_a_guest_has_a_mediated_device_of_its_virtual_one(start_host):
    machine = with_virtual(group=29, users=(qemu("/dev/vfio/77"),))
    first = replace(machine.devices[-2], mediated=((MDEV, "77"),))
    plan = planned(start_host(replace(machine, devices=(*machine.devices[:-2], first, machine.devices[-1]))), PF)
    found = only(plan.blocks, "device.virtual_in_use")
    assert ONE in found.message
    assert "guest small" in found.message


def test_virtual_functions_that_nobody_uses_are_named_before_they_vanish(start_host):
    plan = planned(start_host(with_virtual(group=29)), PF)
    assert plan.blocks == ()
    said = [finding.message for finding in plan.findings if finding.code == "device.virtual_vanishes"]
    assert [address for address in (ONE, TWO) if any(address in text for text in said)] == [ONE, TWO]


def test_a_physical_function_and_its_virtual_one_are_not_given_together(start_host):
    plan = planned(start_host(with_virtual(group=29)), PF, TWO)
    assert only(plan.blocks, "device.physical").message.startswith(PF)


def test_a_physical_function_whose_virtual_one_is_the_only_network_is_refused(start_host):
    machine = with_virtual(group=29)
    chipset = tuple(replace(one, network=None) for one in machine.devices[:-3])
    carrier = replace(machine.devices[-2], network="eth7")
    devices = (*chipset, machine.devices[-3], carrier, machine.devices[-1])
    assert "device.only_network" in codes(planned(start_host(replace(machine, devices=devices)), PF), Severity.BLOCK)


# Functions that guests have without VFIO

TAPS = (FakeLink("macvtap0", ("eth7",), tap=7),)


def with_macvtap(*users, above, links=TAPS):
    """A network card with a virtual function; `above` of these has the interface eth7."""
    names = {above: "eth7"}
    physical = nic(PF, group=29, network=names.get(PF))
    virtual = nic(ONE, group=30, driver="igbvf", physical=PF, network=names.get(ONE))
    return replace(
        headless(physical, virtual, modules=(NIC, VF)), processes=(*BASE.processes, *users), links=links,
        routes=(("default", "eno1"),),
    )  # fmt: skip


def test_a_physical_function_is_refused_while_a_guest_has_a_macvtap_on_its_virtual_one(start_host):
    plan = planned(start_host(with_macvtap(qemu("/dev/tap7"), above=ONE)), PF)
    found = only(plan.blocks, "device.virtual_in_use")
    assert ONE in found.message
    assert "guest small" in found.message


def test_a_network_card_is_refused_while_a_guest_has_a_macvtap_on_it(start_host):
    user = replace(qemu("/dev/tap7"), guest="small")
    plan = planned(start_host(with_macvtap(user, above=PF)), PF)
    assert "guest small" in only(plan.blocks, "holder.alive").message


def test_a_virtual_function_below_another_interface_is_not_called_unused(start_host):
    plan = planned(start_host(with_macvtap(above=ONE, links=(FakeLink("br7", ("eth7",)),))), PF)
    assert plan.blocks == ()
    assert "br7 is above" in only(plan.findings, "device.virtual_vanishes").message


# Mediated devices


def with_mediated(*users):
    gpu = replace(parts.intel_gpu(), mediated=((MDEV, "77"),))
    return replace(
        BASE, devices=(gpu, *parts.chipset()), modules=(parts.I915, *parts.common_modules()),
        processes=(*BASE.processes, *users),
    )  # fmt: skip


def test_the_parent_of_a_mediated_device_in_use_is_refused_naming_the_guest(start_host):
    plan = planned(start_host(with_mediated(qemu("/dev/vfio/77", name="o,,ne"))), "0000:00:02.0")
    found = only(plan.blocks, "device.mediated_in_use")
    assert MDEV in found.message
    assert "guest o,ne" in found.message


def test_a_mediated_device_that_nobody_uses_is_named_before_it_vanishes(start_host):
    plan = planned(start_host(with_mediated()), "0000:00:02.0")
    assert plan.blocks == ()
    assert MDEV in only(plan.findings, "device.mediated_vanishes").message
