"""Devices that a domain gives in other words than <hostdev>: handed over, left to libvirt with a word, or refused."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from plans import codes, only, planned

from vfioctl.events.qemu_arguments import NAMESPACE
from vfioctl.findings import Severity
from vfioctl.handoff.notes import devices
from vfioctl.testing import parts, scenarios
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.model import FakeDevice, FakeProcess

GPU, SOUND, PF, VF, SECOND = scenarios.GPU, scenarios.SOUND, "0000:03:00.0", "0000:03:10.2", "0000:03:10.4"
MDEV = "5a7c1f0e-6d3b-4c2a-9f8e-0b1c2d3e4f50"
BASE = parts.headless()


def with_arguments(*words, hostdevs=()):
    listed = "".join(f"<qemu:arg value='{word}'/>" for word in words)
    xml = domain("nas", hostdevs=hostdevs, rest=f"<qemu:commandline>{listed}</qemu:commandline>")
    return xml.replace("<domain ", f"<domain xmlns:qemu='{NAMESPACE}' ", 1)


def mediated_hostdev(uuid=MDEV):
    return f"<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='{uuid}'/></source></hostdev>"


def network(fake, name, forward, hostdevs=()):
    place = fake.paths.at("etc/libvirt/qemu/networks")
    os.makedirs(place, exist_ok=True)
    with open(os.path.join(place, f"{name}.xml"), "w", encoding="utf-8") as file:
        file.write(f"<network><name>{name}</name>{forward}</network>")
    return domain("small", hostdevs=hostdevs, devices=interface(name))


def interface(name):
    return f"<interface type='network'><source network='{name}'/></interface>"


def listed(*addresses):
    form = "<address type='pci' domain='0x{}' bus='0x{}' slot='0x{}' function='0x{}'/>"
    each = (form.format(*address.replace(".", ":").split(":")) for address in addresses)
    return f"<forward mode='hostdev' managed='yes'>{''.join(each)}</forward>"


def with_nic(driver="igb"):
    physical = FakeDevice(PF, 0x8086, 0x1521, 0x020000, driver="igb", drivers=("igb",), group=30, network="eth3")
    one = FakeDevice(VF, 0x8086, 0x1520, 0x020000, driver=driver, drivers=("igb",), group=31, physical=PF)
    modules = (parts.module("igb", "network"), *parts.common_modules())
    return replace(BASE, devices=(*parts.chipset(), physical, one), modules=modules)


def test_a_card_in_qemus_arguments_is_handed_over_with_what_belongs_to_it(start_host):
    plan = planned(start_host(scenarios.two_gpu()), xml=with_arguments("-device", "vfio-pci,host=01:00.0"))
    assert devices(plan) == (GPU, SOUND)
    assert plan.blocks == ()
    assert GPU in only(plan.findings, "device.in_arguments").message


def test_a_card_that_is_not_there_names_the_arguments_as_its_origin(start_host):
    plan = planned(start_host(scenarios.two_gpu()), xml=with_arguments("-device", "vfio-pci,host=77:00.0"))
    assert "QEMU's arguments" in only(plan.blocks, "device.missing").message


def test_arguments_beside_managed_hostdevs_are_no_mixture(start_host):
    xml = with_arguments("-device", "vfio-pci,host=01:00.0", hostdevs=("0000:00:1f.3",)).replace('"no"', '"yes"')
    assert "domain.mixed_managed" not in codes(planned(start_host(scenarios.two_gpu()), xml=xml))


def test_an_argument_that_names_no_device_is_a_warning_with_the_setting(start_host):
    plan = planned(start_host(scenarios.two_gpu()), xml=with_arguments("-device", "vfio-pci,fd=3"))
    found = only(plan.findings, "device.unseen")
    assert found.severity is Severity.WARN
    assert "devices = " in found.hint


def with_mediated():
    gpu = replace(parts.intel_gpu(), mediated=((MDEV, "77"),))
    return replace(BASE, devices=(gpu, *parts.chipset()), modules=(parts.I915, *parts.common_modules()))


def test_a_guest_of_mediated_devices_only_is_told_that_it_needs_nothing(start_host):
    plan = planned(start_host(with_mediated()), xml=domain("small", devices=mediated_hostdev()))
    assert (devices(plan), plan.steps, plan.blocks) == ((), (), ())
    assert "0000:00:02.0" in only(plan.findings, "device.mediated").message


def test_a_mediated_device_that_is_not_there_is_told_as_such(start_host):
    plan = planned(start_host(scenarios.two_gpu()), xml=domain("small", devices=mediated_hostdev()))
    finding = only(plan.findings, "device.mediated")
    assert (finding.severity, "It is not there now" in finding.message) == (Severity.WARN, True)


def test_a_mediated_device_by_its_path_in_the_arguments_is_told_the_same(start_host):
    words = ("-device", f"vfio-pci,sysfsdev=/sys/bus/mdev/devices/{MDEV}")
    plan = planned(start_host(with_mediated()), xml=with_arguments(*words))
    assert (devices(plan), codes(plan)) == ((), ["device.mediated"])


def test_a_device_and_its_mediated_one_are_not_given_together(start_host):
    xml = domain("small", hostdevs=("0000:00:02.0",), devices=mediated_hostdev())
    assert MDEV in only(planned(start_host(with_mediated()), xml=xml).blocks, "device.mediated_parent").message


def test_a_device_and_a_mediated_one_of_its_virtual_function_are_not_given_together(start_host):
    machine = with_nic()
    virtual = replace(machine.devices[-1], mediated=((MDEV, "77"),))
    xml = domain("small", hostdevs=(PF,), devices=mediated_hostdev())
    plan = planned(start_host(replace(machine, devices=(*machine.devices[:-1], virtual))), xml=xml)
    assert VF in only(plan.blocks, "device.mediated_parent").message


def test_a_pool_of_functions_is_left_to_libvirt_with_a_word(start_host):
    fake = start_host(with_nic())
    plan = planned(fake, xml=network(fake, "pool", listed(VF)))
    assert (devices(plan), plan.steps, plan.blocks) == ((), (), ())
    found = only(plan.findings, "network.pool")
    assert VF in found.message
    assert "libvirt" in found.message


def test_the_functions_of_a_pool_may_be_named_by_their_physical_interface(start_host):
    fake = start_host(with_nic())
    plan = planned(fake, xml=network(fake, "pool", "<forward mode='hostdev'><pf dev='eth3'/></forward>"))
    assert VF in only(plan.findings, "network.pool").message


def test_a_physical_function_is_not_given_beside_a_pool_of_its_virtual_ones(start_host):
    fake = start_host(with_nic())
    xml = network(fake, "pool", listed(VF), hostdevs=(PF,))
    assert only(planned(fake, xml=xml).blocks, "device.physical").message.startswith(PF)


def test_a_pool_with_a_card_in_it_is_refused(start_host):
    fake = start_host(scenarios.two_gpu())
    plan = planned(fake, xml=network(fake, "pool", listed(GPU)))
    found = only(plan.blocks, "network.pool_in_use")
    assert GPU in found.message
    assert "as a hostdev" in found.hint


def test_a_pool_with_the_hosts_own_network_in_it_is_refused(start_host):
    fake = start_host(with_nic())
    plan = planned(fake, xml=network(fake, "pool", listed(VF, "0000:00:1f.6")))
    found = only(plan.blocks, "network.pool_in_use")
    assert "0000:00:1f.6" in found.message
    assert "hostdev" not in found.hint, "it is refused as one, too"


def test_a_pool_of_which_guests_have_every_function_is_refused(start_host):
    machine = with_nic(driver="vfio-pci")
    vfio = (replace(one, loaded=one.loaded or one.name.startswith("vfio")) for one in machine.modules)
    user = FakeProcess("qemu-system-x86", opens=("/dev/vfio/31",))
    fake = start_host(replace(machine, modules=tuple(vfio), processes=(*machine.processes, user)))
    plan = planned(fake, xml=network(fake, "pool", listed(VF)))
    assert VF in only(plan.blocks, "network.pool_empty").message


def with_two_functions(opener):
    """One function with the host, and one that `opener` has open."""
    machine = with_nic()
    other = FakeDevice(SECOND, 0x8086, 0x1520, 0x020000, driver="vfio-pci", drivers=("igb",), group=32, physical=PF)
    vfio = (replace(one, loaded=one.loaded or one.name.startswith("vfio")) for one in machine.modules)
    processes = (*machine.processes, replace(opener, opens=("/dev/vfio/32",)))
    return replace(machine, devices=(*machine.devices, other), modules=tuple(vfio), processes=processes)


OTHER_GUEST = FakeProcess("qemu-system-x86", cmdline=("qemu-system-x86_64", "-name", "guest=big"), guest="big")
OWN = FakeProcess(
    "qemu-system-x86", guest="small", cmdline=("qemu-system-x86_64", "-name", "guest=small", "-uuid", UUID)
)


def test_as_many_functions_of_a_pool_have_to_be_free_as_the_guest_has_interfaces_on_it(start_host):
    fake = start_host(with_two_functions(OTHER_GUEST))
    network(fake, "pool", listed(VF, SECOND))
    one, two = (domain("small", devices=interface("pool") * count) for count in (1, 2))
    assert "network.pool_empty" not in codes(planned(fake, xml=one))
    found = only(planned(fake, xml=two).blocks, "network.pool_empty")
    assert found.message == (
        f"small has 2 interfaces on network pool, which has 1 free function; taken: {SECOND}."
    )


def test_a_running_guest_has_its_own_function_of_a_pool_free_for_its_next_start(start_host):
    fake = start_host(with_two_functions(OWN))
    network(fake, "pool", listed(VF, SECOND))
    xml = domain("small", devices=interface("pool") * 2)
    assert "network.pool_empty" not in codes(planned(fake, xml=xml))


@pytest.mark.parametrize("given", [VF, PF])
def test_a_function_of_a_pool_that_the_guest_gets_by_another_way_is_not_free(start_host, given):
    fake = start_host(with_nic())
    network(fake, "pool", listed(VF))
    xml = domain("small", hostdevs=(given,), devices=interface("pool"))
    assert "no free function" in only(planned(fake, xml=xml).blocks, "network.pool_empty").message


def test_an_active_network_names_its_functions_twice_and_each_counts_once(start_host):
    """In the status file they stand beside the interface that they are of."""
    fake = start_host(with_nic())
    place = fake.paths.at("run/libvirt/network")
    os.makedirs(place, exist_ok=True)
    forward = listed(VF).replace("<address", "<pf dev='eth3'/><address", 1)
    with open(os.path.join(place, "pool.xml"), "w", encoding="utf-8") as file:
        file.write(f"<networkstatus><network><name>pool</name>{forward}</network></networkstatus>")
    plan = planned(fake, xml=domain("small", devices=interface("pool") * 2))
    assert "which has 1 free function." in only(plan.blocks, "network.pool_empty").message


def test_an_ordinary_network_is_not_worth_a_word(start_host):
    fake = start_host(with_nic())
    assert codes(planned(fake, xml=network(fake, "plain", "<forward mode='nat'/>"))) == []
