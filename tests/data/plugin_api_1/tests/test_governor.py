"""The plugin on a simulated host: plan, start, stop, crash. The fixtures come from vfioctl's pytest plugin."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from vfioctl.testing import snapshot
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.model import MachineSpec
from vfioctl.testing.scenarios import generic_nic
from vfioctl.wait import until

CPUFREQ = "/sys/devices/system/cpu/cpufreq"
NIC = "0000:01:00.0"
OFFERED = "performance powersave schedutil"
BEFORE = {"policy0": "schedutil", "policy1": "powersave"}
XML = domain(hostdevs=(NIC,)).encode()
OURS = ("run/vfioctl*", "var/lib/vfioctl*", "var/log/vfioctl*", "*vfio*")  # what vfioctl keeps, and the vfio modules


def machine(offered: str = OFFERED) -> MachineSpec:
    """A headless host with two frequency policies that differ."""
    files = [(f"{CPUFREQ}/{policy}/scaling_governor", now) for policy, now in BEFORE.items()]
    files += [(f"{CPUFREQ}/{policy}/scaling_available_governors", offered) for policy in BEFORE]
    return replace(generic_nic(), settings=tuple(files))


@pytest.fixture
def daemon(start_host: Callable[[MachineSpec], FakeHost]) -> Callable[..., FakeLibvirt]:
    """Starts a host with libvirt and the hook, where win11 asks for this plugin."""

    def start(spec: MachineSpec, settings: str = "[governor]\ngovernor = 'performance'\n") -> FakeLibvirt:
        libvirt = FakeLibvirt(start_host(spec))
        libvirt.install()
        libvirt.manage("win11", settings)
        return libvirt

    return start


def governors(libvirt: FakeLibvirt) -> dict[str, str]:
    found = {}
    for policy in BEFORE:
        with open(libvirt.host.paths.at(CPUFREQ, policy, "scaling_governor")) as file:
            found[policy] = file.read().strip()
    return found


def returned(libvirt: FakeLibvirt) -> bool:
    return until(lambda: not os.path.exists(libvirt.host.paths.boot_journal(UUID)), 30)


def test_each_cpu_gets_its_own_governor_back(daemon) -> None:
    libvirt = daemon(machine())
    before = snapshot.take(libvirt.host.root)
    started = libvirt.start("win11", UUID, XML, addresses=(NIC,))
    assert started.status == 0, started.stderr
    assert governors(libvirt) == {"policy0": "performance", "policy1": "performance"}
    libvirt.stop("win11", XML)
    assert returned(libvirt)
    assert governors(libvirt) == BEFORE
    assert snapshot.difference(before, snapshot.take(libvirt.host.root), allowed=OURS) == ()


def test_a_start_that_fails_later_gives_them_back_as_well(daemon) -> None:
    libvirt = daemon(machine())
    libvirt.host.kernel.fail_probe(NIC, "vfio-pci")
    assert libvirt.start("win11", UUID, XML).status != 0
    assert governors(libvirt) == BEFORE


def test_a_guest_that_does_not_ask_for_it_is_left_alone(daemon) -> None:
    libvirt = daemon(machine(), settings="")
    assert libvirt.start("win11", UUID, XML, addresses=(NIC,)).status == 0
    assert governors(libvirt) == BEFORE


def test_a_kernel_without_the_governor_costs_nothing_but_a_warning(daemon) -> None:
    libvirt = daemon(machine(offered="powersave schedutil"))
    assert libvirt.start("win11", UUID, XML, addresses=(NIC,)).status == 0
    assert governors(libvirt) == BEFORE
