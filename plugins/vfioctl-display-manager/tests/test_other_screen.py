"""Another card with a screen stays with the host: the login screen is there while the guest runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vfioctl_display_manager import compositors

from vfioctl.plugin.types import Phase, Severity
from vfioctl.testing import parts, scenarios
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.model import MachineSpec
from vfioctl.testing.scenarios import GPU, SOUND
from vfioctl.txn.journal import open_uuids
from vfioctl.wait import until

STOP = "display-manager.stop:lightdm.service"
START = "display-manager.start:lightdm.service"
SCREEN = "0000:00:02.0"
SECOND = "0000:02:00.0"
OTHER_UUID = "0d9c8b7a-6f5e-4d3c-9b2a-1f0e9d8c7b6a"


def with_ports(*connectors: str) -> MachineSpec:
    """Two cards with the desktop on both; these are the ports of the one that stays."""
    machine = scenarios.two_screens()
    return replace(machine, devices=(replace(machine.devices[0], connectors=connectors), *machine.devices[1:]))


def with_two_to_lend() -> MachineSpec:
    """A screen on the processor's graphics, and two cards that guests may have; X holds all three."""
    machine = scenarios.two_screens(logged_in=False)
    second = parts.amdgpu_card(SECOND, group=15, bridge="0000:00:01.1", boot_vga=False)[:2]
    nodes = ("/dev/dri/card0", "/dev/dri/card1", "/dev/dri/card2", "/dev/nvidia0", "/dev/nvidiactl")
    desktop = parts.desktop(nodes, logged_in=False)
    return replace(
        desktop, name="two-to-lend", modules=(*machine.modules, *parts.amdgpu_modules()),
        devices=(*machine.devices, *second),
    )  # fmt: skip


def lightdm(fake: FakeHost) -> str:
    return str(fake.kernel.units()["system/lightdm.service"]["active"])


def x_server(fake: FakeHost) -> int:
    """The X server that draws on the screen, which is the only one."""
    (pid,) = (one["pid"] for one in fake.kernel.processes() if one["comm"] == "Xorg")
    assert lightdm(fake) == "active"
    return int(pid)


def test_the_display_manager_is_started_again_after_the_last_bind(start_host, ask):
    said = ask(start_host(scenarios.two_screens()), session="end")
    start = said.step(START)
    assert (start.kind, start.phase, start.best_effort) == ("unit.start", Phase.GIVE, True)
    assert start.after == (f"driver.bind:{GPU}", f"driver.bind:{SOUND}")
    assert SCREEN in start.reason
    assert said.plan().steps[-1].id == START


def test_the_plan_says_where_the_login_screen_will_be(start_host, ask):
    said = ask(start_host(scenarios.two_screens()), session="end")
    assert said.codes == ["session.ends", "display_manager.other_screen", "session.takes_again"]
    assert SCREEN in said.findings[1].message


def test_on_the_return_it_is_neither_restarted_nor_looked_for_on_the_card(start_host, ask):
    said = ask(start_host(scenarios.two_screens()), session="end")
    assert [step.id for step in said.after] == ["display-manager.active:lightdm.service"]


@pytest.mark.parametrize("connectors", [(), ("HDMI-A-1:disconnected",), ("HDMI-A-1:unknown", "DP-1:disconnected")])
def test_a_card_without_a_connected_screen_is_none_to_log_in_on(start_host, ask, connectors):
    said = ask(start_host(with_ports(*connectors)), session="end")
    assert START not in said.ids
    assert "passing" not in said.step(STOP).params
    assert said.codes == ["session.ends"]


def test_one_connected_port_of_several_is_enough(start_host, ask):
    assert START in ask(start_host(with_ports("DP-1:disconnected", "DP-2:connected")), session="end").ids


def test_a_card_that_is_given_too_is_none_to_log_in_on(start_host, ask):
    said = ask(start_host(scenarios.two_screens()), GPU, SOUND, SCREEN, session="end")
    assert START not in said.ids


def test_a_card_that_another_guest_has_is_none_to_log_in_on(start_host, ask):
    machine = scenarios.two_screens()
    lent = replace(machine.devices[0], driver="vfio-pci", drivers=("vfio-pci", "i915"))
    modules = tuple(replace(one, loaded=one.loaded or one.name.startswith("vfio")) for one in machine.modules)
    fake = start_host(replace(machine, devices=(lent, *machine.devices[1:]), modules=modules))
    assert START not in ask(fake, session="end").ids


def test_the_only_cards_desktop_stays_stopped_as_before(start_host, ask):
    said = ask(start_host(scenarios.single_gpu_nvidia_desktop()), session="end")
    assert START not in said.ids


@pytest.mark.parametrize("keeps", [{"table": {"start_again": False}}, {"units": ("lightdm.service",)}])
def test_it_stays_stopped_where_the_guest_file_says_so(start_host, ask, keeps):
    said = ask(start_host(scenarios.two_screens()), session="end", **keeps)
    assert START not in said.ids
    assert said.step(STOP).params == {"unit": "lightdm.service"}


def test_a_session_that_must_not_end_is_told_how_to_keep_off_the_card(start_host, ask):
    said = ask(start_host(scenarios.two_screens()))
    assert said.codes == ["session.active", "session.takes_again"]
    assert said.before == ()
    assert "is refused while somebody is logged in" in said.findings[1].message
    assert "AutoAddGPU" in said.findings[1].hint


def test_a_greeter_on_the_card_is_told_of_as_well_and_blocks_nothing(start_host, ask):
    said = ask(start_host(scenarios.two_screens(logged_in=False)))
    assert said.codes == ["display_manager.other_screen", "session.takes_again"]
    assert not said.plan().blocks
    assert said.findings[1].severity is Severity.WARN


def test_a_desktop_that_is_on_the_given_card_alone_is_told_nothing(start_host, ask):
    said = ask(start_host(scenarios.two_gpu()), SECOND, f"{SECOND[:-1]}1", session="end")
    assert said.codes == ["session.ends", "display_manager.other_screen"]


def test_each_compositor_has_its_own_way_and_an_unknown_one_a_page(ask, start_host):
    (holder,) = (one for one in ask(start_host(scenarios.two_screens())).request.host.holders((GPU,))
                 if one.comm == "Xorg")  # fmt: skip
    said = {name: compositors.way((replace_comm(holder, name),)) for name in ("gnome-shell", "kwin_wayland", "e")}
    assert "mutter-device-ignore" in said["gnome-shell"]
    assert "KWIN_DRM_DEVICES" in said["kwin_wayland"]
    assert "two-gpus.md" in said["e"]


def replace_comm(holder, name):
    from vfioctl.frozen import replace as replaced

    return replaced(holder, comm=name)


@pytest.fixture
def house(start_host):
    """Two guests on a machine with a screen and two cards to lend: (machine, libvirt, XML by guest)."""
    fake = start_host(with_two_to_lend())
    libvirt = FakeLibvirt(fake)
    libvirt.install()
    for guest in ("win11", "render"):
        libvirt.manage(guest)
    xml = {
        "win11": domain("win11", hostdevs=(GPU,)).encode(),
        "render": domain("render", uuid=OTHER_UUID, hostdevs=(SECOND,)).encode(),
    }
    return fake, libvirt, xml


def home(fake: FakeHost, uuid: str) -> bool:
    return until(lambda: uuid not in open_uuids(fake.paths), 30)


def test_two_guests_each_take_a_card_and_the_screen_is_there_all_the_time(house):
    fake, libvirt, xml = house
    assert libvirt.start("win11", UUID, xml["win11"], addresses=(GPU, SOUND)).status == 0
    first = x_server(fake)
    second = libvirt.start("render", OTHER_UUID, xml["render"], addresses=(SECOND,))
    assert second.status == 0, second.stderr
    assert first != (running := x_server(fake))
    libvirt.stop("win11", xml["win11"])
    assert home(fake, UUID)
    libvirt.stop("render", xml["render"])
    assert home(fake, OTHER_UUID)
    assert x_server(fake) == running


def test_a_start_that_fails_beside_another_guest_leaves_nobody_without_a_screen(house):
    fake, libvirt, xml = house
    assert libvirt.start("win11", UUID, xml["win11"], addresses=(GPU, SOUND)).status == 0
    fake.kernel.fail_probe(SECOND, "vfio-pci")
    assert libvirt.start("render", OTHER_UUID, xml["render"], addresses=(SECOND,)).status != 0
    assert lightdm(fake) == "active"


def test_a_display_manager_that_does_not_start_fails_no_guest_and_is_back_afterwards(house):
    fake, libvirt, xml = house
    fake.kernel.fail_program("systemctl", arguments="start -- lightdm.service")
    assert libvirt.start("win11", UUID, xml["win11"], addresses=(GPU, SOUND)).status == 0
    assert lightdm(fake) == "inactive"
    libvirt.stop("win11", xml["win11"])
    assert home(fake, UUID)
    assert lightdm(fake) == "active"


def test_a_second_guest_that_takes_the_last_screen_is_not_in_the_way_of_the_first(house):
    """Beside the one that left a screen, one that leaves none: each brings the login screen back with its own card."""
    fake, libvirt, xml = house
    assert libvirt.start("win11", UUID, xml["win11"], addresses=(GPU, SOUND)).status == 0
    libvirt.manage("render", f'devices = ["{SCREEN}"]\n')
    last = libvirt.start("render", OTHER_UUID, xml["render"], addresses=(SECOND, SCREEN))
    assert last.status == 0, last.stderr
    assert lightdm(fake) == "inactive"
    libvirt.stop("render", xml["render"])
    assert home(fake, OTHER_UUID)
    assert lightdm(fake) == "active"
    libvirt.stop("win11", xml["win11"])
    assert home(fake, UUID)
    assert lightdm(fake) == "active"
