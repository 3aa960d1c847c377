"""What doctor finds of AMD cards: kernels that harm them, processor graphics, and cards that nothing resets."""

from __future__ import annotations

from dataclasses import replace

from claims import Start, facts
from vfioctl_amdgpu import plugin

from vfioctl.plugin.types import Severity
from vfioctl.testing.model import FakeModule, MachineSpec
from vfioctl.testing.scenarios import apu, single_gpu_amdgpu_desktop, single_gpu_nvidia_desktop

VEGA = 0x687F


def run(host) -> dict:
    """Every finding of the plugin's checks, by code."""
    return {one.code: one for check in plugin.vfioctl_doctor_checks() for one in check.run(host)}


def vega(methods: tuple[str, ...]) -> MachineSpec:
    machine = single_gpu_amdgpu_desktop()
    card, *others = machine.devices
    return replace(machine, devices=(replace(card, device=VEGA, reset_methods=methods), *others))


def test_a_card_on_a_good_kernel_is_well(start_host: Start):
    assert run(facts(start_host(single_gpu_amdgpu_desktop()))) == {}


def test_a_host_without_an_amd_card_is_not_spoken_of(start_host: Start):
    assert run(facts(start_host(single_gpu_nvidia_desktop()))) == {}


def test_a_kernel_that_an_unload_harms_is_noted(start_host: Start):
    found = run(facts(start_host(single_gpu_amdgpu_desktop(kernel="6.18.9"))))
    assert (set(found), found["amdgpu.known_bad"].severity) == ({"amdgpu.known_bad"}, Severity.INFO)
    assert "6.18.9" in found["amdgpu.known_bad"].evidence


def test_graphics_of_the_processor_are_noted(start_host: Start):
    assert set(run(facts(start_host(apu())))) == {"amdgpu.apu"}


def test_a_card_that_only_vendor_reset_can_reset_is_warned_of(start_host: Start):
    found = run(facts(start_host(vega(("bus",)))))
    assert (set(found), found["amdgpu.no_reset"].severity) == ({"amdgpu.no_reset"}, Severity.WARN)


def test_with_vendor_reset_it_is_well(start_host: Start):
    machine = vega(("device_specific", "bus"))
    modules = (*machine.modules, FakeModule("vendor_reset", loaded=True))
    assert run(facts(start_host(replace(machine, modules=modules)))) == {}
