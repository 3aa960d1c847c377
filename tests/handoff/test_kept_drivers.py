"""Functions whose own driver offers them through VFIO: given on it, used and brought back, and never moved."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from plans import codes, only, planned

from vfioctl.handoff.notes import devices
from vfioctl.testing import parts
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.model import FakeDevice, FakeModule, FakeProcess
from vfioctl.txn.journal import open_uuids
from vfioctl.wait import until

CARD, VGPU, PLAIN = "0000:41:00.0", "0000:41:00.4", "0000:41:00.5"
PF, VF = "0000:05:00.0", "0000:05:00.2"
RETURN = 60.0
VFIO = tuple(replace(one, loaded=one.loaded or one.name.startswith("vfio")) for one in parts.common_modules())


def vgpu():
    """A card of NVIDIA's with two virtual functions, of which the driver offers one as a vGPU (vGPU 17, Linux 6.8)."""
    physical = FakeDevice(CARD, 0x10DE, 0x26B9, 0x030200, driver="nvidia", drivers=("nvidia",), group=41)
    plain = replace(physical, address=PLAIN, group=65, physical=CARD)
    offered = replace(plain, address=VGPU, group=64, vfio=True)
    modules = (*parts.nvidia_modules("570.86"), *VFIO)
    return replace(parts.headless(), devices=(physical, offered, plain, *parts.chipset()), modules=modules)


def variant():
    """A network card with a virtual function that root has put on a variant of vfio-pci."""
    physical = FakeDevice(PF, 0x15B3, 0x101D, 0x020000, driver="mlx5_core", drivers=("mlx5_core",), group=50)
    virtual = replace(physical, address=VF, device=0x101E, driver="mlx5_vfio_pci", drivers=(), group=52, physical=PF)
    mine = FakeModule(
        "mlx5_vfio_pci", uses=("vfio_pci_core",), drivers=parts.driver("mlx5_vfio_pci", "vfio"), loaded=True
    )
    modules = (parts.module("mlx5_core", "network"), mine, *VFIO)
    return replace(parts.headless(), devices=(physical, virtual, *parts.chipset()), modules=modules)


def asking_for_vfio_pci(address):
    return domain(hostdevs=(address,)).replace("<source>", "<driver model='vfio-pci'/><source>", 1)


def binds(plan):
    return {step.params["address"]: step.params["driver"] for step in plan.steps if step.kind == "driver.bind"}


def driver(daemon, address):
    return os.path.basename(os.readlink(daemon.host.paths.pci(address, "driver")))


def test_a_vgpu_stays_on_the_driver_that_offers_it(start_host):
    plan = planned(start_host(vgpu()), VGPU)
    assert (devices(plan), binds(plan), plan.blocks) == ((VGPU,), {}, ())
    assert f"{VGPU} stays on nvidia" in only(plan.findings, "driver.kept").message


def test_a_vgpu_beside_a_function_of_its_card_that_moves_does_not_move_with_it(start_host):
    plan = planned(start_host(vgpu()), PLAIN, VGPU)
    assert (devices(plan), binds(plan)) == ((PLAIN, VGPU), {PLAIN: "vfio-pci"})


def test_a_function_on_a_variant_driver_stays_on_it(start_host):
    plan = planned(start_host(variant()), VF)
    assert binds(plan) == {VF: "mlx5_vfio_pci"}
    assert f"{VF} stays on mlx5_vfio_pci" in only(plan.findings, "driver.kept").message


def with_libvirt(host, version):
    program = Path(host.root, "usr/sbin/libvirtd")
    program.write_text(f"#!/bin/sh\necho 'libvirtd (libvirt) {version}'\n")
    program.chmod(0o755)
    return host


def test_a_libvirt_that_takes_no_variant_gets_vfio_pci_as_before(start_host):
    plan = planned(with_libvirt(start_host(variant()), "9.0.0"), VF)
    assert (binds(plan), plan.blocks) == ({VF: "vfio-pci"}, ())


def test_a_libvirt_that_takes_no_device_on_a_host_driver_is_named_before_anything_is_touched(start_host):
    plan = planned(with_libvirt(start_host(vgpu()), "9.6.0"), VGPU)
    assert "libvirt takes it there since 9.7 only" in only(plan.blocks, "driver.libvirt_old").message
    assert planned(with_libvirt(start_host(vgpu()), "9.7.0"), VGPU).blocks == ()


@pytest.mark.parametrize(("machine", "address", "group"), [(vgpu, VGPU, 64), (variant, VF, 52)])
def test_one_that_another_guest_has_is_refused(start_host, machine, address, group):
    user = FakeProcess("qemu-system-x86", opens=(f"/dev/vfio/{group}",))
    spec = machine()
    plan = planned(start_host(replace(spec, processes=(*spec.processes, user))), address)
    assert address in only(plan.blocks, "holder.alive").message


@pytest.mark.parametrize(("machine", "address"), [(vgpu, VGPU), (variant, VF)])
def test_a_domain_that_asks_for_vfio_pci_gets_it(start_host, machine, address):
    plan = planned(start_host(machine()), xml=asking_for_vfio_pci(address))
    assert binds(plan) == {address: "vfio-pci"}
    assert "driver.kept" not in codes(plan)


@pytest.mark.parametrize(("machine", "address", "own"), [(vgpu, VGPU, "nvidia"), (variant, VF, "mlx5_vfio_pci")])
def test_it_is_on_its_driver_during_the_run_and_after_the_return(start_host, machine, address, own):
    daemon, xml = FakeLibvirt(start_host(machine())), domain(hostdevs=(address,)).encode()
    daemon.install()
    daemon.manage("win11")
    assert daemon.start("win11", UUID, xml, addresses=(address,)).status == 0
    assert driver(daemon, address) == own
    assert daemon.stop("win11", xml).status == 0
    assert until(lambda: UUID not in open_uuids(daemon.host.paths), RETURN)
    assert driver(daemon, address) == own
