"""Whole hand-offs: a real libvirtd starts and stops real guests, the hook that our command installed moves the card."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vfioctl.testing import parts, scenarios
from vfioctl.wait import until

GPU = "0000:01:00.0"
SOUND = "0000:01:00.1"
GIVEN = ["vfio-pci", "vfio-pci"]
HOME = ("nvidia", "snd_hda_intel")
OUR_RECORDS = (  # said, not done
    "var/lib/vfioctl/last*", "var/lib/vfioctl/history*", "run/vfioctl", "run/vfioctl/locks*", "run/vfioctl/guests",
)  # fmt: skip
HOOK_DEADLINE = 20.0
RELEASE_DEADLINE = 15.0  # the default deadline of the part of the return that libvirt waits for


@pytest.fixture
def house(make_house: Callable[..., Any]) -> Any:
    """An NVIDIA card for guests beside an AMD card for the desktop; no systemd, as on this machine itself."""
    return make_house(replace(scenarios.two_gpu(logged_in=False), systemd=False))


def break_python(house: Any) -> None:
    """Make the interpreter that the installed hook names unusable, as an update of the distribution does."""
    shim = Path(house.host.paths.shim)
    text = shim.read_text()
    lines = ["python=/nonexistent/python" if line.startswith("python=") else line for line in text.splitlines()]
    shim.write_text("\n".join(lines) + "\n")


def test_a_start_gives_the_card_and_a_destroy_brings_it_back(house: Any) -> None:
    house.guest("win11", GPU)
    before = house.look()
    house.run("win11")
    assert house.drivers() == GIVEN
    assert house.lab.qemu_pids()
    house.stop("win11")
    assert house.comes_home(*HOME), house.log()
    assert house.changed(before) == ()


def test_a_blocked_preflight_ends_the_start_with_our_sentence_and_changes_nothing(house: Any) -> None:
    house.host.kernel.add_process(parts.FakeProcess("trainer", pid=5_000_900, opens=("/dev/nvidia0",)))
    house.guest("win11", GPU)
    before = house.look("etc", "run", "var/lib")
    refused = house.start("win11")
    assert refused.returncode != 0
    said = [line for line in refused.stderr.splitlines() if line.strip()]
    assert f"{GPU} is held by process 5000900 (trainer)" in said[-1]
    assert house.changed(before, "etc", "run", "var/lib", allowed=OUR_RECORDS) == ()


def test_stopped_and_release_after_a_refusal_do_nothing(house: Any) -> None:
    house.host.kernel.add_process(parts.FakeProcess("trainer", pid=5_000_900, opens=("/dev/nvidia0",)))
    house.guest("win11", GPU)
    house.host.kernel.clear_log()
    house.start("win11")
    assert house.is_over()
    assert [write for write in house.host.kernel.writes() if not write["path"].startswith("/kit")] == []


def test_a_restarted_daemon_leaves_the_guest_and_its_card_alone(house: Any) -> None:
    house.guest("win11", GPU)
    house.run("win11")
    qemu = house.lab.qemu_pids()
    house.lab.restart()
    assert house.lab.state("win11") == "running"
    assert house.lab.qemu_pids() == qemu
    assert house.drivers() == GIVEN
    house.stop("win11")
    assert house.comes_home(*HOME), house.log()


def test_a_restarted_daemon_with_a_broken_python_leaves_the_guest_alone(house: Any) -> None:
    house.guest("win11", GPU)
    house.run("win11")
    break_python(house)
    house.lab.restart()
    assert house.lab.state("win11") == "running"
    assert house.drivers() == GIVEN


@pytest.mark.parametrize(("operation", "state"), [("start", "shut off"), ("started", "running")])
def test_a_daemon_killed_before_our_started_has_its_guest_looked_after_when_it_is_back(
    house: Any, operation: str, state: str
) -> None:
    """Another hook before ours hangs when libvirtd dies. A guest that was to run it keeps, and calls `reconnect`."""
    house.guest("win11", GPU)
    before = house.look()
    work, marks = house.lab.work, Path(house.host.paths.guest_markers("win11"))
    hook = f'[ "$2" = {operation} ] || exit 0\ntouch {work}/in\nuntil [ -e {work}/go ]; do sleep 0.05; done\n'
    house.lab.hook("00-slow", hook)
    start = house.lab.virsh_in_background("start", "win11")
    assert until((work / "in").exists, HOOK_DEADLINE)
    assert (marks / "armed").exists()
    house.lab.sigkill()
    start.communicate(timeout=HOOK_DEADLINE)
    (work / "go").touch()
    house.lab.start()
    assert house.lab.state("win11") == state
    if state == "running":
        assert until(lambda: not (marks / "armed").exists(), HOOK_DEADLINE), house.log()
        assert house.drivers() == GIVEN
        house.stop("win11")
    assert house.comes_home(*HOME), house.log()
    assert house.changed(before) == ()


def test_with_a_broken_python_the_rendered_undo_brings_the_card_home(house: Any) -> None:
    house.guest("win11", GPU)
    before = house.look()
    house.run("win11")
    break_python(house)
    house.stop("win11")
    assert until(lambda: house.drivers() == list(HOME), HOOK_DEADLINE), house.log()
    assert house.changed(before) == ()


def test_with_a_broken_python_only_managed_guests_do_not_start(house: Any) -> None:
    house.guest("win11", GPU)
    house.guest("other", manage=False)
    break_python(house)
    refused = house.start("win11")
    assert "Guest win11 was not started and nothing has changed." in refused.stderr
    assert house.start("other").returncode == 0


def test_a_daemon_killed_after_our_prepare_leaves_the_card_to_the_dead_man(house: Any) -> None:
    """Another hook after ours is still in prepare when libvirtd dies: no hook will ever be called for the guest."""
    house.guest("win11", GPU)
    before = house.look()
    work = house.lab.work
    slow = f'[ "$2" = prepare ] || exit 0\ntouch {work}/in\nuntil [ -e {work}/go ]; do sleep 0.05; done\n'
    house.lab.hook("60-slow", slow)
    start = house.lab.virsh_in_background("start", "win11")
    assert until((work / "in").exists, HOOK_DEADLINE)
    assert house.drivers() == GIVEN
    house.lab.sigkill()
    start.communicate(timeout=HOOK_DEADLINE)
    (work / "go").touch()
    assert house.comes_home(*HOME), house.log()
    assert house.changed(before) == ()


@pytest.mark.parametrize("hook", ["survives", "dies too"])
def test_a_daemon_killed_in_the_middle_of_our_prepare_leaves_the_card_to_the_dead_man(house: Any, hook: str) -> None:
    house.guest("win11", GPU)
    before = house.look()
    house.host.kernel.hang_write("/sys/bus/pci/drivers/snd_hda_intel/unbind")
    start = house.lab.virsh_in_background("start", "win11")
    assert until(house.host.kernel.blocked, HOOK_DEADLINE), house.log()
    hooks = [pid for pid in house.lab.children(house.lab.daemon_pid) if b"\0hook\0win11\0" in _command(pid)]
    assert len(hooks) == 1
    house.lab.sigkill()
    if hook == "dies too":
        os.kill(hooks[0], 9)
    house.host.kernel.release()
    start.communicate(timeout=HOOK_DEADLINE)
    assert house.comes_home(*HOME, within=60.0), house.log()
    assert house.changed(before) == ()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_daemon_and_guest_killed_together_bring_the_card_home(house: Any) -> None:
    house.guest("win11", GPU)
    before = house.look()
    house.run("win11")
    house.lab.sigkill(guests=True)
    assert house.drivers() == GIVEN
    house.lab.start()
    assert house.comes_home(*HOME), house.log()
    assert house.changed(before) == ()


def test_a_guest_whose_file_is_removed_while_it_runs_brings_the_card_home(house: Any) -> None:
    house.guest("win11", GPU)
    before = house.look()
    house.run("win11")
    Path(house.host.paths.guest_config("win11")).unlink()
    house.stop("win11")
    assert house.comes_home(*HOME), house.log()
    assert house.changed(before) == ()


def test_of_two_guests_with_one_card_the_second_is_refused_with_the_name_of_the_first(house: Any) -> None:
    house.guest("win11", GPU)
    house.guest("linux", GPU)
    house.run("win11")
    refused = house.start("linux")
    assert refused.returncode != 0
    assert "win11" in refused.stderr.rpartition("linux was not started")[2]
    assert house.drivers() == GIVEN
    assert house.lab.state("win11") == "running"
    house.stop("win11")
    assert house.comes_home(*HOME), house.log()
    assert house.start("linux").returncode == 0


def test_unmanaged_guests_beside_a_managed_one_are_not_touched(house: Any) -> None:
    house.guest("win11", GPU)
    house.guest("other", manage=False)
    before = house.look()
    assert house.start("other").returncode == 0
    assert house.changed(before) == ()
    assert not os.path.exists(house.host.paths.run)
    house.run("win11")
    assert house.lab.state("other") == "running"
    house.stop("other")
    assert house.drivers() == GIVEN
    house.stop("win11")
    assert house.comes_home(*HOME), house.log()


def test_virsh_list_answers_again_within_the_deadline_of_the_release(house: Any) -> None:
    house.guest("win11", GPU)
    house.run("win11")
    house.host.kernel.hang_write("/sys/bus/pci/drivers/vfio-pci/unbind")
    destroy = house.lab.virsh_in_background("destroy", "win11")
    assert until(house.host.kernel.blocked, HOOK_DEADLINE), house.log()
    begun = time.monotonic()
    house.lab.virsh("list", "--all", timeout=RELEASE_DEADLINE * 2)
    assert time.monotonic() - begun < RELEASE_DEADLINE + 3.0
    house.host.kernel.release()
    destroy.communicate(timeout=HOOK_DEADLINE)
    assert until(lambda: house.is_over() or house.cli("recover").returncode == 0, 60.0), house.log()
    assert house.comes_home(*HOME), house.log()


def test_a_guest_whose_qemu_fails_gives_the_card_back(house: Any) -> None:
    broken = "<interface type='user'><model type='e1000'/><rom file='/nonexistent.rom'/></interface>"
    house.guest("win11", GPU, xml=broken)
    before = house.look()
    assert house.start("win11").returncode != 0
    assert house.comes_home(*HOME), house.log()
    assert house.changed(before) == ()


@pytest.mark.parametrize("name", ["-rf", "it's \"größe\"", "a b", "$(reboot)"])
def test_a_guest_of_an_odd_name_is_handed_the_card_too(house: Any, name: str) -> None:
    house.guest(name, GPU)
    assert house.start(name).returncode == 0
    assert house.drivers() == GIVEN
    house.stop(name)
    assert house.comes_home(*HOME), house.log()


@pytest.mark.parametrize("device", ["0000:7f:00.0", "0000:00:01.0"])
def test_a_hostdev_that_cannot_be_given_is_refused_and_named(house: Any, device: str) -> None:
    domain, bus, slot = device.replace(".", ":").split(":")[:3]
    source = f"<address domain='0x{domain}' bus='0x{bus}' slot='0x{slot}' function='0x0'/>"
    house.guest("win11", xml=f"<hostdev mode='subsystem' type='pci' managed='no'><source>{source}</source></hostdev>")
    before = house.look()
    refused = house.start("win11")
    assert refused.returncode != 0
    assert device in refused.stderr.rpartition("win11 was not started")[2]
    assert house.changed(before) == ()


def test_two_guests_that_share_a_stopped_service_the_last_one_brings_back(make_house: Callable[..., Any]) -> None:
    first = scenarios.generic_nic()
    second = replace(first.devices[-1], address="0000:02:00.0", group=15, bridge=None, network="enp2s0")
    service = parts.FakeUnit("backup.service")
    house = make_house(scenarios.with_unit(replace(first, devices=(*first.devices, second)), service))
    before = house.look()
    for guest, device in (("one", GPU), ("two", second.address)):
        house.guest(guest, device, more='units = ["backup.service"]')
        house.run(guest)
        assert house.driver(device) == "vfio-pci"
        assert not house.is_active("backup.service")
    house.stop("one")
    assert until(lambda: house.driver(GPU) == "igb", HOOK_DEADLINE), house.log()
    assert not until(lambda: house.is_active("backup.service"), 1.0)
    house.stop("two")
    assert until(lambda: house.is_active("backup.service"), HOOK_DEADLINE), house.log()
    assert until(house.is_over, HOOK_DEADLINE), house.log()
    assert house.changed(before) == ()


@pytest.mark.parametrize(
    ("machine", "drivers"),
    [
        (scenarios.single_gpu_nvidia_desktop(), HOME),
        (scenarios.single_gpu_amdgpu_desktop(), ("amdgpu", "snd_hda_intel")),
    ],
    ids=["nvidia", "amdgpu"],
)
def test_the_only_card_of_a_desktop_goes_and_comes_back_with_the_login_screen(
    make_house: Callable[..., Any], machine: Any, drivers: tuple[str, str]
) -> None:
    house = make_house(machine)
    house.guest("win11", GPU, SOUND, more='session = "end"')
    house.run("win11")
    assert house.drivers() == GIVEN
    assert not house.is_active("lightdm.service")
    house.stop("win11")
    assert house.comes_home(*drivers), house.log()
    assert house.is_active("lightdm.service")


def test_a_logged_in_user_is_not_thrown_out_without_the_word_of_the_guest_file(make_house: Callable[..., Any]) -> None:
    house = make_house(scenarios.single_gpu_nvidia_desktop())
    house.guest("win11", GPU)
    before = house.look()
    refused = house.start("win11")
    assert "alice" in refused.stderr.rpartition("win11 was not started")[2]
    assert house.changed(before) == ()
