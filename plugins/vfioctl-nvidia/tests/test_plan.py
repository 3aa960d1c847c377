"""What the plugin proposes for the machines of the kit, and that the proposal frees the card and brings it back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from claims import Start, at_rest, codes, facts, ids, is_awake, walk, whole_plan
from vfioctl_nvidia import plugin
from vfioctl_nvidia.facts import Driver, read_driver

from vfioctl.config.model import GuestConfig
from vfioctl.events.model import Domain, Hostdev
from vfioctl.host.host import Host
from vfioctl.plugin.types import GpuHandoff, Phase, Request, Severity
from vfioctl.testing.model import FakeDevice, FakeModule, FakeProcess, FakeUnit
from vfioctl.testing.scenarios import GPU, SOUND, laptop, rack, single_gpu_nvidia_desktop, two_gpu, two_nvidia

CONFIG = GuestConfig("win11", tables={"nvidia": {"unbind": "when-safe"}})
SECOND = "0000:02:00.0"
POWER = [
    f"sysfs.write:/sys/bus/pci/devices/{address}/{name}"
    for address in (GPU, SOUND) for name in ("power/control", "d3cold_allowed")
]  # fmt: skip



def request_for(host: Host, *addresses: str, domain: Domain | None = None) -> Request:
    devices = tuple(host.device(address) for address in addresses)
    return Request("win11", "uuid", domain or Domain("win11", "uuid"), CONFIG, host, devices)


def claim(host: Host, address: str = GPU, *, config: GuestConfig = CONFIG, given: tuple[str, ...] = ()) -> GpuHandoff:
    made = plugin.vfioctl_gpu_handoff(host.device(address), host, config, request_for(host, *given) if given else None)
    assert made is not None
    return made


def test_the_golden_plan_of_a_single_card_desktop(start_host: Start):
    host = facts(start_host(single_gpu_nvidia_desktop()))
    assert ids(host, claim(host)) == [
        "unit.stop:nvidia-persistenced.service",
        *POWER,
        f"driver.override:{GPU}",
        f"driver.override:{SOUND}",
        "module.unload:nvidia",
        f"driver.bind:{GPU}",
        f"driver.bind:{SOUND}",
    ]


def test_a_card_with_the_text_console_gives_it_up_first(start_host: Start):
    host = facts(start_host(at_rest(single_gpu_nvidia_desktop(framebuffer=True))))
    order = ids(host, claim(host))
    assert order[0] == "vtconsole.unbind:(M) frame buffer device"


def test_the_modules_are_unloaded_from_the_top_and_only_the_loaded_ones(start_host: Start):
    machine = at_rest(single_gpu_nvidia_desktop())
    peermem = FakeModule("nvidia_peermem", uses=("nvidia",), loaded=True)
    idle = FakeModule("i2c_nvidia_gpu", loaded=True)
    modules = tuple(module for module in machine.modules if module.name != "nvidia_uvm")
    host = facts(start_host(replace(machine, modules=(*modules, peermem, idle))))
    (unload,) = [step for step in claim(host).steps if step.kind == "module.unload"]
    assert unload.params["modules"] == ["nvidia_drm", "nvidia_modeset", "nvidia_peermem", "nvidia"]
    assert unload.params["devices"] == [GPU]


def test_services_are_stopped_only_when_they_run_and_their_hold_is_declared(start_host: Start):
    machine = single_gpu_nvidia_desktop()
    powerd = FakeUnit("nvidia-powerd.service", active=True)
    others = tuple(unit for unit in machine.units if not unit.name.startswith("nvidia-"))
    host = facts(start_host(replace(machine, units=(*others, powerd), processes=())))
    stops = [step for step in claim(host).steps if step.kind == "unit.stop"]
    assert [(step.params["unit"], step.phase) for step in stops] == [("nvidia-powerd.service", Phase.BEFORE)]
    assert stops[0].frees[0].unit == "nvidia-powerd.service"


def test_the_sound_function_is_covered_so_that_nobody_else_is_asked(start_host: Start):
    assert claim(facts(start_host(single_gpu_nvidia_desktop()))).covers == (SOUND,)


def test_the_card_is_back_with_driver_drm_device_and_the_word_of_nvidia(start_host: Start):
    host = facts(start_host(single_gpu_nvidia_desktop()))
    assert [(condition.kind, *condition.args.values()) for condition in claim(host).back] == [
        ("link.target", f"/sys/bus/pci/devices/{GPU}/driver", "nvidia"),
        ("path.exists", f"/sys/bus/pci/devices/{GPU}/drm"),
        ("link.target", f"/sys/bus/pci/devices/{SOUND}/driver", "snd_hda_intel"),
        ("path.exists", f"/proc/driver/nvidia/gpus/{GPU}"),
    ]


def test_the_identity_of_card_and_driver_is_told(start_host: Start):
    made = claim(facts(start_host(single_gpu_nvidia_desktop(version="575.64"))))
    (finding,) = [finding for finding in made.findings if finding.code == "nvidia.identity"]
    assert finding.severity is Severity.INFO
    for part in ("NVIDIA GeForce RTX 3080", "GPU-8a2b1c3d", "575.64"):
        assert part in finding.message


def test_the_flavour_of_the_driver_is_read(tmp_path):
    from vfioctl.paths import Paths
    from vfioctl.proc import Programs

    directory = tmp_path / "proc/driver/nvidia"
    directory.mkdir(parents=True)
    said = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.64  Release Build\nGCC version:  gcc 12\n"
    (directory / "version").write_text(said)
    assert read_driver(Host(Paths(str(tmp_path)), Programs(""))) == Driver("575.64", is_open=True)


@pytest.mark.parametrize("driver", ["nouveau", "vfio-pci", None])
def test_a_card_on_another_driver_is_not_claimed(start_host: Start, driver: str | None):
    host = facts(start_host(single_gpu_nvidia_desktop()))
    card = replace(host.device(GPU), driver=driver)
    assert plugin.vfioctl_gpu_handoff(card, host, CONFIG, None) is None


def test_neither_the_sound_function_nor_another_vendors_card_is_claimed(start_host: Start):
    host = facts(start_host(two_gpu()))
    for address in (SOUND, SECOND):
        assert plugin.vfioctl_gpu_handoff(host.device(address), host, CONFIG, None) is None


def test_beside_a_card_of_another_vendor_the_module_is_unloaded(start_host: Start):
    host = facts(start_host(two_gpu()))
    assert "module.unload:nvidia" in ids(host, claim(host))


def test_a_controller_without_screen_is_a_card_too(start_host: Start):
    host = facts(start_host(laptop()))
    assert "module.unload:nvidia" in ids(host, claim(host))


def test_with_a_second_card_on_the_driver_only_the_one_card_is_unbound(start_host: Start):
    host = facts(start_host(two_nvidia()))
    made = claim(host)
    binds = {step.params["address"]: step.params for step in made.steps if step.kind == "driver.bind"}
    assert not any(step.kind == "module.unload" for step in made.steps)
    assert binds[GPU]["unbind_alone"] is True
    assert "unbind_alone" not in binds[SOUND]
    assert codes(made)["nvidia.unbind_alone"] is Severity.WARN


def test_the_golden_plan_of_one_of_two_cards(start_host: Start):
    host = facts(start_host(at_rest(two_nvidia())))
    made = whole_plan(host, claim(host))
    assert [step.id for step in made.steps] == [
        *POWER, f"driver.override:{GPU}", f"driver.override:{SOUND}", f"driver.bind:{GPU}", f"driver.bind:{SOUND}",
    ]  # fmt: skip
    assert made.blocks == ()


@pytest.mark.parametrize("node", ["/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia-uvm"])
def test_with_a_second_card_whoever_has_a_node_that_both_share_is_named_and_blocks(start_host: Start, node: str):
    process = FakeProcess("kwin_wayland", pid=5_000_400, opens=(node,), unit="kiosk.service")
    host = facts(start_host(replace(at_rest(two_nvidia()), processes=(process,))))
    (block,) = whole_plan(host, claim(host)).blocks
    assert block.code == "holder.shared"
    assert f"Process 5000400 (kwin_wayland) of kiosk.service has {node} open" in block.message


def test_the_desktop_on_the_second_card_may_hold_the_first_one_too(start_host: Start):
    host = facts(start_host(two_nvidia()))
    blocks = whole_plan(host, claim(host)).blocks
    assert {block.code for block in blocks} == {"holder.shared"}
    assert any("(Xorg) of lightdm.service has /dev/nvidia-modeset" in block.message for block in blocks)


def test_a_service_that_is_stopped_anyway_may_have_a_shared_node(start_host: Start):
    machine = at_rest(two_nvidia())
    keeper = FakeProcess("nvidia-persistenced", opens=("/dev/nvidiactl",), unit=plugin.UNITS[0])
    host = facts(start_host(replace(machine, processes=(keeper,), units=(FakeUnit(plugin.UNITS[0]),))))
    assert whole_plan(host, claim(host), units=plugin.UNITS).blocks == ()


@pytest.mark.parametrize("version", ["595.58.03", "610.57.04"])
def test_with_a_second_card_a_version_that_hangs_is_refused_with_its_source(start_host: Start, version: str):
    made = claim(facts(start_host(two_nvidia(version=version))))
    assert codes(made)["nvidia.known_bad"] is Severity.BLOCK
    assert made.steps == ()
    (finding,) = [finding for finding in made.findings if finding.code == "nvidia.known_bad"]
    assert "https://github.com/NVIDIA/open-gpu-kernel-modules/" in finding.message
    assert SECOND in finding.message


def test_with_one_card_a_version_that_hangs_is_no_matter_since_nothing_is_unbound(start_host: Start):
    made = claim(facts(start_host(single_gpu_nvidia_desktop(version="595.58.03"))))
    assert codes(made) == {"nvidia.identity": Severity.INFO}
    assert not any("unbind_alone" in step.params for step in made.steps)


def test_with_a_second_card_an_unknown_version_is_refused(start_host: Start):
    machine = two_nvidia()
    modules = tuple(replace(module, version=None) for module in machine.modules)
    assert codes(claim(facts(start_host(replace(machine, modules=modules))))).keys() >= {"nvidia.unknown_version"}


def test_with_a_second_card_the_setting_can_forbid_the_unbind(start_host: Start):
    config = GuestConfig("win11", tables={"nvidia": {"unbind": "never"}})
    made = claim(facts(start_host(two_nvidia())), config=config)
    assert codes(made)["nvidia.unbind_never"] is Severity.BLOCK
    assert made.steps == ()


def test_a_guest_that_gets_both_cards_unloads_the_module_once(start_host: Start):
    host = facts(start_host(at_rest(two_nvidia(version="595.58.03"))))
    given = (GPU, SOUND, SECOND, "0000:02:00.1")
    order = ids(host, claim(host, given=given), claim(host, SECOND, given=given))
    assert order.count("module.unload:nvidia") == 1
    unload = order.index("module.unload:nvidia")
    assert {order.index(f"driver.override:{address}") < unload for address in given} == {True}
    assert {order.index(f"driver.bind:{address}") > unload for address in given} == {True}


def test_a_function_that_the_guest_does_not_get_is_left_alone(start_host: Start):
    host = facts(start_host(single_gpu_nvidia_desktop()))
    made = claim(host, given=(GPU,))
    assert made.covers == ()
    assert not any(SOUND in step.id for step in made.steps)


def test_the_domains_variant_driver_is_used(start_host: Start):
    host = facts(start_host(single_gpu_nvidia_desktop()))
    domain = Domain("win11", "uuid", hostdevs=(Hostdev("pci", GPU, model="nvgrace-gpu-vfio-pci"),))
    made = plugin.vfioctl_gpu_handoff(host.device(GPU), host, CONFIG, request_for(host, GPU, SOUND, domain=domain))
    drivers = {step.params["address"]: step.params["driver"] for step in made.steps if step.kind == "driver.bind"}
    assert drivers == {GPU: "nvgrace-gpu-vfio-pci", SOUND: "vfio-pci"}


def test_a_rack_of_cards_is_asked_in_time(start_host: Start):
    """Sixteen cards on one module: each claim is the per-device path, and none reads all of the others' nodes."""
    host = facts(start_host(rack()))
    made = [claim(host, f"0000:{0x10 + index:02x}:00.0") for index in range(16)]
    assert all(any("unbind_alone" in step.params for step in one.steps) for one in made)


def test_the_plan_frees_the_card_and_brings_it_back(start_host: Start):
    fake = start_host(at_rest(single_gpu_nvidia_desktop(framebuffer=True)))
    walk(fake, claim(facts(fake)), given=lambda host: host.module("nvidia") is None)
    assert {facts(fake).device(address).driver_override for address in (GPU, SOUND)} == {None}
    assert all(facts(fake).module(name) for name in ("nvidia", "nvidia_modeset", "nvidia_uvm", "nvidia_drm"))


def test_one_of_two_cards_is_freed_and_brought_back_while_the_other_stays(start_host: Start):
    fake = start_host(at_rest(two_nvidia()))
    walk(fake, claim(facts(fake)), given=lambda host: host.device(SECOND).driver == "nvidia")
    assert facts(fake).device(SECOND).driver == "nvidia"


def test_a_laptops_card_in_d3cold_is_woken_kept_awake_and_may_sleep_again(start_host: Start):
    fake = start_host(at_rest(laptop()))
    before = facts(fake).device(GPU)
    assert before.power_state == "D3cold"
    walk(fake, claim(facts(fake)), given=lambda host: is_awake(host.device(GPU)) and is_awake(host.device(SOUND)))
    assert facts(fake).device(GPU) == before


def test_a_card_with_a_usb_c_function_gives_it_along(start_host: Start):
    machine = at_rest(single_gpu_nvidia_desktop())
    usb = FakeDevice("0000:01:00.2", 0x10DE, 0x1AD8, 0x0C0330, group=14, bridge="0000:00:01.0")
    host = facts(start_host(replace(machine, devices=(*machine.devices, usb))))
    assert claim(host).covers == (SOUND, "0000:01:00.2")
