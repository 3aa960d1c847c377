"""Devices that share a slot with what stays, through the installed hook: given, used and brought back."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from vfioctl.events.qemu_arguments import NAMESPACE
from vfioctl.testing import parts, scenarios
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.model import FakeDevice
from vfioctl.txn.journal import open_uuids
from vfioctl.wait import until

GPU, SOUND = scenarios.GPU, scenarios.SOUND
PF, ONE, TWO, PORT = "0000:03:00.0", "0000:03:00.1", "0000:03:00.2", "0000:0e:00.3"
OTHER = "7a2d3b45-6c7e-4f80-9ba1-c2d3e4f50617"
RETURN = 60.0


@pytest.fixture
def libvirt(start_host):
    """Start a machine with the hook installed, and guests of it managed."""

    def start(machine, *guests):
        daemon = FakeLibvirt(start_host(machine))
        daemon.install()
        for guest in guests:
            daemon.manage(guest)
        return daemon

    return start


def sriov():
    """A network card whose driver has made two virtual functions, each in a group of its own."""
    modules = (parts.module("igb", "network"), parts.module("igbvf", "network"), *parts.common_modules())
    physical = FakeDevice(PF, 0x8086, 0x1521, 0x020000, driver="igb", drivers=("igb",), group=30, network="eth3")
    virtual = tuple(
        replace(physical, address=address, device=0x1520, driver="igbvf", drivers=("igbvf",), group=group, network=None,
                physical=PF)
        for address, group in ((ONE, 31), (TWO, 32))
    )  # fmt: skip
    return replace(parts.headless(), devices=(*parts.chipset(), physical, *virtual), modules=modules)


def processor():
    """A desktop on a processor's graphics, with a USB controller in the same slot."""
    screen, sound, usb, _ = parts.amdgpu_card("0000:0e:00.0", group=30, bridge="0000:00:08.1", device=0x164E)
    devices = (screen, replace(sound, group=31), replace(usb, address=PORT, group=33), *parts.chipset())
    modules = (*parts.amdgpu_modules(), *parts.common_modules())
    return replace(parts.desktop(parts.DRI_NODES, logged_in=True), name="apu", devices=devices, modules=modules)


def drivers(daemon, *addresses):
    return [os.path.basename(os.readlink(daemon.host.paths.pci(address, "driver"))) for address in addresses]


def stop(daemon, guest, uuid, xml):
    assert daemon.stop(guest, xml).status == 0
    assert until(lambda: uuid not in open_uuids(daemon.host.paths), RETURN)


def test_a_virtual_function_goes_and_comes_back_and_the_others_never_move(libvirt):
    daemon, xml = libvirt(sriov(), "small"), domain("small", hostdevs=(ONE,)).encode()
    assert daemon.start("small", UUID, xml, addresses=(ONE,)).status == 0
    assert drivers(daemon, PF, ONE, TWO) == ["igb", "vfio-pci", "igbvf"]
    stop(daemon, "small", UUID, xml)
    assert drivers(daemon, PF, ONE, TWO) == ["igb", "igbvf", "igbvf"]


def test_two_guests_have_a_virtual_function_each_and_the_physical_one_is_refused_meanwhile(libvirt):
    daemon = libvirt(sriov(), "small", "other", "whole")
    for guest, uuid, address in (("small", UUID, ONE), ("other", OTHER, TWO)):
        xml = domain(guest, uuid=uuid, hostdevs=(address,)).encode()
        started = daemon.start(guest, uuid, xml, addresses=(address,))
        assert started.status == 0, started.stderr
    whole = domain("whole", uuid="00000000-1111-4222-8333-444444444444", hostdevs=(PF,)).encode()
    refused = daemon.start("whole", "00000000-1111-4222-8333-444444444444", whole)
    assert refused.status != 0
    assert "guest small" in refused.stderr
    assert "guest other" in refused.stderr
    assert drivers(daemon, PF, ONE, TWO) == ["igb", "vfio-pci", "vfio-pci"]


def test_a_physical_function_comes_back_without_the_virtual_ones_that_it_had(libvirt):
    daemon, xml = libvirt(sriov(), "whole"), domain("whole", hostdevs=(PF,)).encode()
    started = daemon.start("whole", UUID, xml, addresses=(PF,))
    assert started.status == 0, started.stderr
    assert not os.path.exists(daemon.host.paths.pci(ONE))
    stop(daemon, "whole", UUID, xml)
    assert drivers(daemon, PF) == ["igb"]


def test_a_usb_controller_beside_the_graphics_leaves_the_desktop_alone(libvirt):
    daemon, xml = libvirt(processor(), "small"), domain("small", hostdevs=(PORT,)).encode()
    before = {process["pid"] for process in daemon.host.kernel.processes()}
    assert daemon.start("small", UUID, xml, addresses=(PORT,)).status == 0
    assert drivers(daemon, "0000:0e:00.0", PORT) == ["amdgpu", "vfio-pci"]
    assert before <= {process["pid"] for process in daemon.host.kernel.processes()}
    stop(daemon, "small", UUID, xml)
    assert drivers(daemon, "0000:0e:00.0", PORT) == ["amdgpu", "xhci_hcd"]


def test_a_card_in_qemus_arguments_comes_home_like_any_other(libvirt):
    words = "".join(f"<qemu:arg value='{word}'/>" for word in ("-device", '{"driver":"vfio-pci","host":"01:00.0"}'))
    xml = domain("nas", rest=f"<qemu:commandline>{words}</qemu:commandline>")
    said = xml.replace("<domain ", f"<domain xmlns:qemu='{NAMESPACE}' ", 1).encode()
    daemon = libvirt(scenarios.two_gpu(), "nas")
    started = daemon.start("nas", UUID, said, addresses=(GPU, SOUND))
    assert started.status == 0, started.stderr
    assert drivers(daemon, GPU, SOUND) == ["vfio-pci", "vfio-pci"]
    stop(daemon, "nas", UUID, said)
    assert drivers(daemon, GPU, SOUND) == ["nvidia", "snd_hda_intel"]
