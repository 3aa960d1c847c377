"""`vfioctl guest vnc` and `guest ssh` on a real libvirtd, with viewers that are scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from living import Living

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")
VNC = "<graphics type='vnc' autoport='yes' listen='127.0.0.1'/><video><model type='vga'/></video>"
VIEWER = '#!/bin/sh\necho "$0 $@"\nexit 9\n'


@pytest.fixture
def shown(host: Any) -> Iterator[Living]:
    """A running guest with a display on the loopback."""
    made = Living(host, devices=VNC)
    host.lab.virsh("start", made.name)
    yield made
    made.remove()


def test_the_display_is_where_virsh_finds_it(shown, host):
    data = shown.done("vnc")["display"]
    place, _, number = host.lab.virsh("domdisplay", shown.name).stdout.strip().rpartition(":")
    assert data["address"] == f"{place}:{5900 + int(number)}"
    assert (data["socket"], data["tunnel"]) == ("", "")
    assert data["address"] in shown.cli("vnc", shown.name).stdout


def test_a_viewer_takes_our_place_or_is_named_where_there_is_none(shown, host):
    ended = shown.cli("vnc", shown.name, "--open")
    assert "[program.missing]" in ended.stderr
    assert "virt-viewer" in ended.stderr
    viewer = host.place / "programs" / "remote-viewer"
    viewer.write_text(VIEWER)
    viewer.chmod(0o755)
    try:
        ended = shown.cli("vnc", shown.name, "--open")
    finally:
        viewer.unlink()
    assert ended.returncode == 9
    assert f"{viewer} {shown.done('vnc')['display']['address']}" in ended.stdout


def test_a_guest_without_a_display_or_an_address_says_so(host):
    guest = Living(host)
    assert "[guest.off]" in guest.refused("vnc")
    host.lab.virsh("start", guest.name)
    try:
        assert "[guest.no_display]" in guest.refused("vnc")
        assert "[guest.no_address]" in guest.refused("ssh", "--", "true", status=1)
    finally:
        guest.remove()


CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


@pytest.mark.parametrize(("devices", "why"), [("", "has no channel"), (CHANNEL, "is not connected")])
def test_a_program_needs_an_agent_and_a_guest_that_runs(host, devices, why):
    guest = Living(host, devices=devices)
    assert "[guest.off]" in guest.refused("exec", "--", "true")
    host.lab.virsh("start", guest.name)
    try:
        said = guest.refused("exec", "--", "true")
        assert "[guest.no_agent]" in said
        assert why in said
        assert f"vfioctl guest console {guest.name}" in said
    finally:
        guest.remove()
