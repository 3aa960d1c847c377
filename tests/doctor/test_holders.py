"""Who has a card open now, on simulated machines: each sort of holder by its nodes, its name and its container."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vfioctl.compose import compose
from vfioctl.doctor import holders
from vfioctl.host.host import Host
from vfioctl.host.model import Holder
from vfioctl.testing.model import FakeProcess
from vfioctl.testing.scenarios import media_server, single_gpu_nvidia_desktop, two_gpu


@pytest.fixture
def held(start_host):
    """What is found on a machine, by code."""

    def look(machine):
        composition = compose(start_host(machine).root)
        return {one.code: one for one in holders.findings(Host(composition.paths, composition.programs))}

    return look


def by(name: str, *nodes: str, container: str | None = None) -> Holder:
    return Holder(7, 1, name, nodes or ("/dev/nvidia0",), ("0000:01:00.0",), container=container)


@pytest.mark.parametrize(("holder", "code"), [
    (by("qemu-system-x86", "/dev/vfio/14", container="qemu-1-win11"), "holder.guest"),
    (by("ffmpeg", container="3f2a"), "holder.container"), (by("ollama"), "holder.model"),
    (by("lact"), "holder.daemon"), (by("openrgb", "/dev/i2c-4"), "holder.daemon"),
    (by("powerdevil", "/dev/i2c-4"), "holder.bus"), (by("pipewire", "/dev/snd/pcmC0D3p"), "holder.sound"),
    (by("kwin_wayland", "/dev/dri/card0"), "holder.display"), (by("blender"), "holder.process"),
])  # fmt: skip
def test_a_holder_is_known_by_its_nodes_its_name_or_its_container(holder, code):
    assert holders.sort(holder).code == code


def test_a_desktop_and_its_sound_are_told_with_their_processes(held):
    found = held(single_gpu_nvidia_desktop())
    assert {"holder.display", "holder.sound", "holder.daemon"} <= set(found)
    assert "0000:01:00.0" in found["holder.display"].message
    assert "/dev/nvidia0" in found["holder.display"].evidence


def test_a_container_is_told_with_what_stops_it(held):
    found = held(media_server())["holder.container"]
    assert "jellyfin (docker, compose project media)" in found.message
    assert "docker stop jellyfin, or " in found.hint
    assert 'containers = ["docker:jellyfin"] (' in found.hint


def test_a_container_that_no_guest_file_can_list_is_not_advised_to_be_listed(held):
    machine = two_gpu(logged_in=False)
    group = f"/system.slice/nerdctl-{'cd' * 32}.scope"
    trainer = FakeProcess("python3", opens=("/dev/nvidia0", "/dev/nvidiactl"), cgroup=group)
    found = held(replace(machine, processes=(*machine.processes, trainer)))["holder.container"]
    assert found.hint.startswith("Stop it with: nerdctl stop cdcdcdcdcdcd (")


def test_a_card_that_nobody_has_is_not_spoken_of(held):
    machine = two_gpu(logged_in=False)
    assert not [one for one in held(machine).values() if "0000:01:00.0" in one.message]


def test_an_unknown_process_is_told_too(held):
    machine = two_gpu(logged_in=False)
    trainer = FakeProcess("python3", pid=5_000_300, uid=1000, opens=("/dev/nvidia0", "/dev/nvidiactl"), session="2")
    found = held(replace(machine, processes=(*machine.processes, trainer)))["holder.process"]
    assert (found.severity, "python3" in found.message, "process 5000300" in found.evidence) == ("info", True, True)
