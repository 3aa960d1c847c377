"""The built-in hand-off: aim, free the console and the firmware's framebuffer, bind; and the checks that all need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from vfioctl.config.model import GuestConfig
from vfioctl.events.model import Domain, Hostdev
from vfioctl.host.host import Host
from vfioctl.plugin import generic
from vfioctl.plugin.types import Phase, Request, Severity
from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import FakeDevice, FakeDriver, FakeModule, MachineSpec
from vfioctl.txn.ordering import Proposed, ordered

CARD, SOUND, OTHER = "0000:01:00.0", "0000:01:00.1", "0000:02:00.0"
DISPLAY = FakeModule("bochs", drivers=(FakeDriver("bochs-drm", "display"),), loaded=True)
AUDIO = FakeModule("snd_hda_intel", drivers=(FakeDriver("snd_hda_intel", "sound"),), loaded=True)
VFIO = FakeModule("vfio_pci", drivers=(FakeDriver("vfio-pci", "vfio"),))
NVIDIA = FakeModule("nvidia", drivers=(FakeDriver("nvidia", "nvidia"),), loaded=True)
NVME = FakeModule("nvme", drivers=(FakeDriver("nvme", "storage"),), loaded=True)


def card(address: str = CARD, **changed: object) -> FakeDevice:
    facts = {"driver": "bochs-drm", "drivers": ("bochs-drm",), "group": 1, "boot_vga": True, **changed}
    return FakeDevice(address, 0x1234, 0x1111, facts.pop("class_code", 0x030000), **facts)


SOUND_CARD = FakeDevice(SOUND, 0x8086, 0x293E, 0x040300, driver="snd_hda_intel", drivers=("snd_hda_intel",), group=1)

Boot = Callable[..., Host]


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Boot]:
    """A simulated host with the given devices, for the length of a test."""
    running = []

    def start(*devices: FakeDevice, **spec: object) -> Host:
        machine = MachineSpec("test", devices=devices, modules=(DISPLAY, AUDIO, VFIO, NVIDIA, NVME), **spec)
        fake = FakeHost(machine, tmp_path / f"host{len(running)}")
        fake.start()
        running.append(fake)
        return Host(fake.paths, fake.programs)

    yield start
    for fake in running:
        fake.stop()


def request_for(host: Host, *addresses: str, domain: Domain | None = None, **config: object) -> Request:
    devices = tuple(host.device(address) for address in addresses)
    return Request("win11", "uuid", domain or Domain("win11", "uuid"), GuestConfig("win11", **config), host, devices)


def steps(host: Host, *addresses: str, domain: Domain | None = None) -> list[str]:
    """The ids of the generic plan for `addresses`, in the order in which they run."""
    asked = request_for(host, *addresses, domain=domain)
    claims = [generic.vfioctl_gpu_handoff(host.device(a), host, asked) for a in addresses]
    return [item.step.id for item in ordered([Proposed("generic", step) for claim in claims for step in claim.steps])]


def power(*addresses: str) -> tuple[str, ...]:
    """What keeps the functions of a card awake."""
    names = ("power/control", "d3cold_allowed")
    return tuple(f"sysfs.write:/sys/bus/pci/devices/{address}/{name}" for address in addresses for name in names)


def codes(host: Host, *addresses: str, **config: object) -> list[str]:
    return [finding.code for finding in generic.vfioctl_preflight(request_for(host, *addresses, **config))]


def test_the_golden_plan_of_the_only_card_with_its_sound(boot):
    assert steps(boot(card(), SOUND_CARD), CARD, SOUND) == [
        "vtconsole.unbind:(M) frame buffer device",
        *power(CARD),
        f"driver.override:{CARD}",
        *power(SOUND),
        f"driver.override:{SOUND}",
        f"driver.bind:{CARD}",
        f"driver.bind:{SOUND}",
    ]


def test_all_functions_are_aimed_before_any_is_bound_in_whatever_order_they_are_asked(boot):
    order = steps(boot(card(), SOUND_CARD), SOUND, CARD)
    assert max(order.index(f"driver.override:{a}") for a in (CARD, SOUND)) < min(
        order.index(f"driver.bind:{a}") for a in (CARD, SOUND)
    )


def test_the_text_console_stays_while_another_card_shows_it(boot):
    host = boot(card(), card(OTHER, group=2, boot_vga=False))
    assert steps(host, CARD) == [*power(CARD), f"driver.override:{CARD}", f"driver.bind:{CARD}"]


def test_the_firmwares_framebuffer_of_a_card_that_is_not_vga_is_taken_off_before_the_bind(boot):
    host = boot(card(class_code=0x038000, driver=None, framebuffer="simple-framebuffer.0"))
    order = steps(host, CARD)
    assert order.index("framebuffer.unbind:simple-framebuffer.0") < order.index(f"driver.bind:{CARD}")


def test_vfio_pci_takes_the_firmwares_framebuffer_off_a_vga_card_itself(boot):
    host = boot(card(driver=None, framebuffer="simple-framebuffer.0"))
    assert not any(name.startswith("framebuffer.") for name in steps(host, CARD))


def test_before_linux_6_the_firmwares_framebuffer_is_taken_off_a_vga_card_too(boot):
    host = boot(card(driver=None, framebuffer="efi-framebuffer.0"), kernel="5.15.0-91-generic")
    assert "framebuffer.unbind:efi-framebuffer.0" in steps(host, CARD)


def test_the_domains_variant_driver_is_used(boot):
    host = boot(card())
    domain = Domain("win11", "uuid", hostdevs=(Hostdev("pci", CARD, model="mlx5_vfio_pci"),))
    claim = generic.vfioctl_gpu_handoff(host.device(CARD), host, request_for(host, CARD, domain=domain))
    assert {step.params.get("driver", step.params.get("value")) for step in claim.steps if "driver" in step.kind} == {
        "mlx5_vfio_pci"
    }


def test_the_card_is_back_with_its_driver_and_its_drm_device(boot):
    host = boot(card())
    claim = generic.vfioctl_gpu_handoff(host.device(CARD), host, None)
    assert [(condition.kind, *condition.args.values()) for condition in claim.back] == [
        ("link.target", f"/sys/bus/pci/devices/{CARD}/driver", "bochs-drm"),
        ("path.exists", f"/sys/bus/pci/devices/{CARD}/drm"),
    ]


def test_a_device_on_nvidia_is_never_unbound_by_the_generic_way(boot):
    host = boot(card(driver="nvidia", drivers=("nvidia",)))
    claim = generic.vfioctl_gpu_handoff(host.device(CARD), host, None)
    assert claim.steps == ()
    assert [(finding.code, finding.severity) for finding in claim.findings] == [("generic.nvidia", Severity.BLOCK)]


def test_a_healthy_card_has_no_findings(boot):
    assert codes(boot(card(), SOUND_CARD), CARD, SOUND) == []


def test_an_iommu_that_is_off_is_found_once(boot):
    host = boot(card(), SOUND_CARD, iommu=False)
    assert codes(host, CARD, SOUND) == ["iommu.off"]


def test_a_bridge_is_refused(boot):
    bridge = FakeDevice("0000:00:01.0", 0x8086, 0x1901, 0x060400, group=3)
    assert "device.bridge" in codes(boot(bridge), "0000:00:01.0")


def test_the_controller_of_a_mounted_disk_is_refused_with_the_mount_point(boot):
    nvme = FakeDevice(
        OTHER, 0x144D, 0xA808, 0x010802, driver="nvme", drivers=("nvme",), group=2, disk="nvme0n1", mounted_at="/home"
    )
    found = generic.vfioctl_preflight(request_for(boot(nvme), OTHER))
    assert ["/home" in finding.message for finding in found if finding.code == "device.mounted"] == [True]


def test_a_kernel_that_invents_groups_is_a_warning(boot):
    host = boot(card(), command_line="quiet pcie_acs_override=downstream,multifunction")
    (finding,) = generic.vfioctl_preflight(request_for(host, CARD))
    assert (finding.code, finding.severity) == ("iommu.acs_override", Severity.WARN)


def test_a_guest_without_devices_is_not_checked_and_lets_the_host_sleep(boot):
    host = boot(iommu=False)
    assert codes(host) == []
    assert tuple(generic.vfioctl_pre_start(request_for(host))) == ()


def test_sleep_is_inhibited_before_anything_else(boot):
    (step,) = generic.vfioctl_pre_start(request_for(boot(card()), CARD))
    assert (step.kind, step.phase) == ("inhibit.sleep", Phase.BEFORE)


def test_sleep_is_left_alone_where_the_settings_say_so(boot):
    assert tuple(generic.vfioctl_pre_start(request_for(boot(card()), CARD, inhibit_sleep=False))) == ()


def test_sleep_is_left_alone_without_systemd(boot):
    assert tuple(generic.vfioctl_pre_start(request_for(boot(card(), systemd=False), CARD))) == ()


def test_a_device_without_a_group_is_found(boot):
    host = boot(card())
    asked = request_for(host, CARD)
    lonely = replace(asked, devices=(replace(asked.devices[0], iommu_group=None),))
    assert "group.none" in [finding.code for finding in generic.vfioctl_preflight(lonely)]
