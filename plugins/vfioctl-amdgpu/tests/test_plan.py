"""What the plugin proposes for the machines of the kit, and that the proposal frees the card and brings it back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from claims import Start, at_rest, codes, facts, ids, is_awake, walk
from vfioctl_amdgpu import plugin

from vfioctl.config.model import GuestConfig
from vfioctl.events.model import Domain
from vfioctl.host.host import Host
from vfioctl.plugin import generic
from vfioctl.plugin.types import GpuHandoff, Request, Severity
from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import FakeModule, MachineSpec
from vfioctl.testing.scenarios import GPU, SOUND, apu, single_gpu_amdgpu_desktop, single_gpu_nvidia_desktop, two_gpu

DEFAULTS = {"unload": False, "allow_apu": False, "fbcon": True, "reset": False}
FUNCTIONS = (GPU, SOUND, "0000:01:00.2", "0000:01:00.3")
VEGA = 0x687F
CONSOLE = "vtconsole.unbind:(M) frame buffer device"



def settings(**changed: bool) -> GuestConfig:
    return GuestConfig("win11", tables={"amdgpu": {**DEFAULTS, **changed}})


def vega(machine: MachineSpec) -> MachineSpec:
    """The same with a Vega 56 and the module vendor-reset."""
    card, *others = machine.devices
    return replace(
        machine, devices=(replace(card, device=VEGA), *others),
        modules=(*machine.modules, FakeModule("vendor_reset", loaded=True)),
    )  # fmt: skip


def claim(host: Host, address: str = GPU, *, config: GuestConfig | None = None) -> GpuHandoff:
    made = plugin.vfioctl_gpu_handoff(host.device(address), host, config or settings(), None)
    assert made is not None
    return made


def write_id(address: str, attribute: str) -> str:
    return f"sysfs.write:/sys/bus/pci/devices/{address}/{attribute}"


def test_the_golden_plan_of_a_single_card_desktop(start_host: Start):
    host = facts(start_host(at_rest(single_gpu_amdgpu_desktop())))
    assert ids(host, claim(host)) == [
        CONSOLE,
        *(write_id(address, name) for address in FUNCTIONS for name in ("power/control", "d3cold_allowed")),
        *(f"driver.override:{address}" for address in FUNCTIONS),
        *(f"driver.bind:{address}" for address in FUNCTIONS[1:]),
        f"driver.bind:{GPU}",
    ]


def test_the_golden_plan_with_vendor_reset_and_a_reset_asked_for(start_host: Start):
    host = facts(start_host(vega(at_rest(single_gpu_amdgpu_desktop()))))
    order = ids(host, claim(host, config=settings(reset=True)))
    assert order.index(write_id(GPU, "reset_method")) < order.index(f"driver.bind:{GPU}")
    assert order[-1] == f"device.reset:{GPU}"


def test_it_differs_from_the_generic_plan_by_console_and_reset(start_host: Start):
    """On a host with a second framebuffer the generic plan leaves the text console alone; this one never does."""
    machine = vega(at_rest(single_gpu_amdgpu_desktop()))
    second = replace(machine.devices[0], address="0000:02:00.0", group=15, bridge="0000:00:01.1", consumers=(), i2c=())
    host = facts(start_host(replace(machine, devices=(*machine.devices, second))))
    devices = host.functions(GPU)
    request = Request("win11", "uuid", Domain("win11", "uuid"), settings(), host, devices)
    plain = ids(host, *(generic.vfioctl_gpu_handoff(device, host, request) for device in devices))
    own = ids(host, claim(host, config=settings(reset=True)))
    assert set(plain) < set(own)
    assert {name.split(":")[0] for name in set(own) - set(plain)} == {"vtconsole.unbind", "sysfs.write", "device.reset"}
    assert [name for name in own if name.startswith("sysfs.write") and name not in plain] == [
        write_id(GPU, "reset_method")
    ]


def test_the_reset_method_is_left_alone_without_vendor_reset_and_for_cards_that_it_does_not_know(start_host: Start):
    machine = at_rest(single_gpu_amdgpu_desktop())
    loaded = replace(machine, modules=(*machine.modules, FakeModule("vendor_reset", loaded=True)))
    host = facts(start_host(loaded))
    assert write_id(GPU, "reset_method") not in ids(host, claim(host))


def test_the_text_console_stays_where_the_settings_say_so(start_host: Start):
    host = facts(start_host(at_rest(single_gpu_amdgpu_desktop())))
    assert CONSOLE not in ids(host, claim(host, config=settings(fbcon=False)))


def test_a_card_without_a_framebuffer_leaves_the_text_console_alone(start_host: Start):
    host = facts(start_host(at_rest(replace(single_gpu_amdgpu_desktop(), framebuffer_console=False))))
    assert CONSOLE not in ids(host, claim(host))


def test_all_functions_are_covered(start_host: Start):
    assert claim(facts(start_host(single_gpu_amdgpu_desktop()))).covers == FUNCTIONS[1:]


def test_the_card_is_back_with_every_driver_and_its_drm_device(start_host: Start):
    host = facts(start_host(single_gpu_amdgpu_desktop()))
    assert [(condition.kind, *condition.args.values()) for condition in claim(host).back] == [
        ("link.target", f"/sys/bus/pci/devices/{GPU}/driver", "amdgpu"),
        ("path.exists", f"/sys/bus/pci/devices/{GPU}/drm"),
        ("link.target", f"/sys/bus/pci/devices/{SOUND}/driver", "snd_hda_intel"),
        ("link.target", "/sys/bus/pci/devices/0000:01:00.2/driver", "xhci_hcd"),
    ]


def test_the_module_is_unloaded_only_on_request(start_host: Start):
    host = facts(start_host(at_rest(single_gpu_amdgpu_desktop())))
    order = ids(host, claim(host, config=settings(unload=True)))
    assert order.index("module.unload:amdgpu") == order.index(f"driver.bind:{GPU}") - 1
    assert all(order.index(f"driver.bind:{other}") < order.index("module.unload:amdgpu") for other in FUNCTIONS[1:])


def test_an_unload_beside_another_card_on_the_driver_is_refused_and_names_it(start_host: Start):
    machine = at_rest(single_gpu_amdgpu_desktop())
    second = replace(machine.devices[0], address="0000:02:00.0", group=15, bridge="0000:00:01.1", consumers=(), i2c=())
    host = facts(start_host(replace(machine, devices=(*machine.devices, second))))
    made = claim(host, config=settings(unload=True))
    assert codes(made) == {"amdgpu.shared": Severity.BLOCK}
    assert "0000:02:00.0" in made.findings[0].message
    assert made.steps == ()


def test_an_unload_on_a_kernel_that_freezes_is_refused_with_its_source(start_host: Start):
    host = facts(start_host(at_rest(single_gpu_amdgpu_desktop(kernel="6.18.7-arch1-1"))))
    made = claim(host, config=settings(unload=True))
    assert codes(made) == {"amdgpu.known_bad": Severity.BLOCK}
    assert "https://github.com/CachyOS/linux-cachyos/issues/681" in made.findings[0].message
    assert made.steps == ()


def test_an_unbind_on_that_kernel_is_not_refused(start_host: Start):
    made = claim(facts(start_host(at_rest(single_gpu_amdgpu_desktop(kernel="6.18.7-arch1-1")))))
    assert made.findings == ()
    assert made.steps


def test_processor_graphics_are_refused_by_default_naming_the_setting(start_host: Start):
    host = facts(start_host(at_rest(apu())))
    made = claim(host, "0000:05:00.0")
    assert codes(made) == {"amdgpu.apu": Severity.BLOCK}
    assert "amdgpu.allow_apu" in made.findings[0].hint
    assert made.steps == ()


def test_processor_graphics_that_are_allowed_are_still_warned_of(start_host: Start):
    host = facts(start_host(at_rest(replace(apu(), kernel="6.17.0-35-generic"))))
    made = claim(host, "0000:05:00.0", config=settings(allow_apu=True))
    assert codes(made) == {"amdgpu.known_bad": Severity.WARN}
    assert made.steps


@pytest.mark.parametrize("driver", ["radeon", "vfio-pci", None])
def test_a_card_on_another_driver_is_not_claimed(start_host: Start, driver: str | None):
    host = facts(start_host(single_gpu_amdgpu_desktop()))
    assert plugin.vfioctl_gpu_handoff(replace(host.device(GPU), driver=driver), host, settings(), None) is None


def test_neither_the_sound_function_nor_another_vendors_card_is_claimed(start_host: Start):
    host = facts(start_host(single_gpu_nvidia_desktop()))
    for address in (GPU, SOUND):
        assert plugin.vfioctl_gpu_handoff(host.device(address), host, settings(), None) is None


def test_the_desktops_card_beside_a_card_for_guests_can_be_given_too(start_host: Start):
    host = facts(start_host(two_gpu()))
    assert claim(host, "0000:02:00.0").covers == ("0000:02:00.1",)


@pytest.mark.parametrize("config", [settings(), settings(unload=True), settings(reset=True)])
def test_the_plan_frees_the_card_and_brings_it_back(start_host: Start, config: GuestConfig):
    fake = start_host(vega(at_rest(single_gpu_amdgpu_desktop())))
    before = snapshot(fake)
    made = claim(facts(fake), config=config)
    assert (made.address, *made.covers) == FUNCTIONS
    walk(fake, made, given=lambda host: all(map(is_awake, map(host.device, FUNCTIONS))))
    assert snapshot(fake) == before
    assert facts(fake).device(GPU).reset_methods == ("device_specific",)  # the kernel takes "bus" no more


def snapshot(fake: FakeHost) -> list[object]:
    """Every fact about the card's functions and the consoles, but how they are reset."""
    host = facts(fake)
    return [*(replace(host.device(address), reset_methods=()) for address in FUNCTIONS), *host.vtconsoles()]


def test_an_accelerator_without_a_screen_is_claimed_and_kept_awake(start_host: Start):
    machine = at_rest(single_gpu_amdgpu_desktop())
    card = replace(machine.devices[0], class_code=0x120000, device=0x74A1, connectors=(), boot_vga=None, consumers=())
    host = facts(start_host(replace(machine, devices=(card, *machine.devices[4:]))))
    assert {write_id(GPU, "power/control"), write_id(GPU, "d3cold_allowed")} <= set(ids(host, claim(host)))


def test_only_what_goes_along_is_covered_without_a_request(start_host: Start):
    machine = at_rest(single_gpu_amdgpu_desktop())
    apart = tuple(replace(one, group=40 + n) for n, one in enumerate(machine.devices[:4]))
    host = facts(start_host(replace(machine, devices=(*apart, *machine.devices[4:]))))
    assert claim(host).covers == (FUNCTIONS[1],)
