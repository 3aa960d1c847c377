"""Virtual functions and mediated devices on the simulated machine: they go with the driver that made them."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import pytest

from vfioctl.host.host import Host
from vfioctl.testing import parts
from vfioctl.testing.model import FakeDevice, FakeLink, FakeProcess
from vfioctl.wait import until

PF, VF, MDEV = "0000:03:00.0", "0000:03:00.1", "5a7c1f0e-6d3b-4c2a-9f8e-0b1c2d3e4f50"
BASE = parts.headless()


def with_macvtap():
    spec = machine("/dev/tap7")
    above = replace(spec.devices[-1], network="eth7")
    return replace(spec, devices=(*spec.devices[:-1], above), links=(FakeLink("macvtap0", ("eth7",), tap=7),))


def test_a_macvtap_vanishes_under_its_user(start_host):
    fake = start_host(with_macvtap())
    before = [os.path.exists(fake.paths.at(place)) for place in ("dev/tap7", "sys/class/net/macvtap0/tap7/dev")]
    unbind(fake)
    after = [os.path.lexists(fake.paths.at(place)) for place in ("dev/tap7", "sys/class/net/macvtap0")]
    assert (before, after) == ([True, True], [False, False])


def machine(*opens, below=PF):
    igb = parts.module("igb", "network")
    virtual = FakeDevice(VF, 0x8086, 0x1520, 0x020000, driver="igb", drivers=("igb",), group=31, physical=PF)
    physical = replace(virtual, address=PF, device=0x1521, group=30, physical=None)
    virtual, physical = (replace(one, mediated=((MDEV, "77"),) * (one.address == below)) for one in (virtual, physical))
    user = FakeProcess("qemu-system-x86", pid=5_000_700, opens=opens)
    return replace(
        BASE, devices=(*parts.chipset(), physical, virtual), modules=(igb, *parts.common_modules()),
        processes=(*BASE.processes, user),
    )  # fmt: skip


def unbind(fake):
    with open(fake.paths.at("sys/bus/pci/drivers/igb/unbind"), "w", encoding="ascii") as file:
        file.write(PF)


def test_both_are_seen_as_on_a_host(start_host):
    fake = start_host(machine())
    host = Host(fake.paths, fake.programs)
    assert (host.device(PF).virtual, host.device(PF).mediated) == ((VF,), (MDEV,))
    assert (host.device(VF).physical, host.device(VF).virtual) == (PF, ())
    assert os.path.realpath(fake.paths.at("sys/bus/mdev/devices", MDEV)) == os.path.realpath(fake.paths.pci(PF, MDEV))


def test_both_vanish_with_the_driver(start_host):
    fake = start_host(machine())
    unbind(fake)
    host = Host(fake.paths, fake.programs)
    assert not host.has_device(VF)
    assert (host.device(PF).virtual, host.device(PF).mediated) == ((), ())
    assert not os.path.exists(fake.paths.at("dev/vfio/77"))


@pytest.mark.parametrize("below", [PF, VF], ids=["of its own", "of its virtual function"])
def test_the_driver_waits_for_the_user_of_a_mediated_device(start_host, below):
    fake = start_host(machine("/dev/vfio/77", below=below))
    writer = threading.Thread(target=unbind, args=(fake,))
    writer.start()
    until(lambda: not os.path.lexists(fake.paths.pci(PF, "driver")), 10)
    assert os.path.isdir(fake.paths.pci(below, MDEV))
    fake.kernel.end_process(5_000_700)
    writer.join(10)
    assert not os.path.isdir(fake.paths.pci(below, MDEV))
