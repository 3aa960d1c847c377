"""A start that must fail, on a machine: the desktop is untouched, and the user reads one sentence and what to do."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hand_offs import BY_NAME, GPU, GUEST, Scenario, Stage, stage

from vfioctl.testing import scenarios
from vfioctl.testing.domains import domain
from vfioctl.testing.model import FakeDevice, FakeProcess, MachineSpec

ROM = "/usr/share/vgabios/card.rom"
NO_ROM = domain(hostdevs=(GPU,)).replace("</source>", f"</source><rom file='{ROM}'/>", 1)


@pytest.fixture
def desktop(tmp_path):
    with stage(BY_NAME["nvidia-desktop"], tmp_path) as one:
        one.xml = NO_ROM.encode()
        yield one


def plan(on: Stage) -> tuple[int, dict[str, str]]:
    """The exit status of `vfioctl plan` and the severity of each finding about the start."""
    argv = [*on.host.argv, "plan", GUEST, "--xml", "-", "--format", "json"]
    ended = subprocess.run(argv, input=on.xml, capture_output=True, check=False)
    findings = json.loads(ended.stdout)["data"]["plan"]["findings"]
    return ended.returncode, {item["code"]: item["severity"] for item in findings if item["code"][:6] == "start."}


def test_a_missing_rom_is_refused_with_the_session_untouched(desktop: Stage):
    call = desktop.start()
    assert call.status != 0
    assert f"{ROM}, the ROM of a hostdev, is not there" in call.stderr
    assert f"virsh edit {GUEST}" in call.stderr
    assert "Nothing was changed." in call.stderr
    assert desktop.differences() == ()


def test_the_start_goes_on_once_it_is_there(desktop: Stage):
    file = Path(desktop.host.paths.at(ROM))
    file.parent.mkdir(parents=True)
    file.touch()
    assert desktop.prepare().status == 0


def test_the_plan_says_the_same_and_a_setting_makes_a_warning_of_it(desktop: Stage):
    assert plan(desktop) == (3, {"start.rom_missing": "block"})
    desktop.set_guest_file('session = "end"\npreflight = "warn"\n')
    assert plan(desktop) == (0, {"start.rom_missing": "warn"})
    desktop.set_guest_file('session = "end"\npreflight = "off"\n')
    assert plan(desktop) == (0, {})


def test_another_hook_makes_a_warning_of_it(desktop: Stage):
    hook = Path(desktop.host.paths.libvirt_hooks, "qemu")
    hook.write_text("#!/bin/sh\nexit 0\n")
    hook.chmod(0o755)
    assert plan(desktop) == (0, {"start.rom_missing": "warn"})


def test_a_card_and_a_node_of_it_are_not_both_given(desktop: Stage):
    screen = "<graphics type='egl-headless'><gl rendernode='/dev/dri/renderD128'/></graphics>"
    desktop.xml = domain(hostdevs=(GPU,), devices=screen).encode()
    assert plan(desktop) == (3, {"start.given_twice": "block"})


def shared_group() -> MachineSpec:
    """Another guest has a card of the same IOMMU group, whose driver is vfio-pci already."""
    machine = scenarios.generic_nic()
    other = FakeDevice("0000:02:00.0", 0x8086, 0x1521, 0x020000, driver="vfio-pci", drivers=("igb",), group=14)
    modules = (replace(module, loaded=module.loaded or module.name.startswith("vfio")) for module in machine.modules)
    qemu = FakeProcess("qemu-system-x86", opens=("/dev/vfio/14",))
    return replace(
        machine, modules=tuple(modules), devices=(*machine.devices, other), processes=(*machine.processes, qemu)
    )


def test_a_group_that_another_guest_has_open_is_refused(tmp_path):
    with stage(Scenario("shared-group", shared_group, (GPU,)), tmp_path) as on:
        call = on.prepare()
        assert call.status != 0
        assert f"(qemu-system-x86) has /dev/vfio/14 open, the IOMMU group of {GPU}" in call.stderr
        assert on.differences() == ()
