"""What doctor finds of NVIDIA's driver: a version whose unbind hangs, and modules that keep it loaded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from claims import Start, facts
from vfioctl_nvidia import plugin

from vfioctl.plugin.types import Severity
from vfioctl.testing.model import FakeModule
from vfioctl.testing.scenarios import single_gpu_nvidia_desktop, two_gpu, two_nvidia


def run(host) -> dict:
    """Every finding of the plugin's checks, by code."""
    return {one.code: one for check in plugin.vfioctl_doctor_checks() for one in check.run(host)}


@pytest.mark.parametrize("machine", [two_nvidia(), single_gpu_nvidia_desktop(version="595.99.02"), two_gpu()])
def test_a_driver_that_is_good_or_is_unloaded_is_well(start_host: Start, machine):
    assert run(facts(start_host(machine))) == {}


def test_two_cards_on_a_driver_whose_unbind_hangs_are_warned_of(start_host: Start):
    found = run(facts(start_host(two_nvidia(version="595.99.02"))))
    assert set(found) == {"nvidia.known_bad"}
    assert (found["nvidia.known_bad"].severity, "595.99.02" in found["nvidia.known_bad"].evidence) == (
        Severity.WARN, True)  # fmt: skip


def test_a_driver_without_a_version_is_trusted_with_nothing(start_host: Start):
    assert set(run(facts(start_host(two_nvidia(version=""))))) == {"nvidia.unknown_version"}


def test_a_module_of_somebody_else_above_the_driver_is_named(start_host: Start):
    machine = single_gpu_nvidia_desktop()
    other = FakeModule("nvidia_vgpu_other", loaded=True, uses=("nvidia",))
    found = run(facts(start_host(replace(machine, modules=(*machine.modules, other)))))
    assert (set(found), found["module.used"].evidence) == (
        {"module.used"}, "/sys/module/nvidia/holders/nvidia_vgpu_other")  # fmt: skip
