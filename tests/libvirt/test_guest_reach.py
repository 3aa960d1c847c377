"""The ways into a guest on a real libvirtd: displays with viewers that are scripts, ssh, and what needs an agent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import snapshot_lab
from living import Living

from vfioctl.errors import VfioctlError
from vfioctl.virt.accounts import add_authorized_keys, read_authorized_keys, remove_authorized_keys, set_guest_password
from vfioctl.virt.connection import connect
from vfioctl.virt.nodes import Node

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


def test_a_screen_that_it_has_not_is_refused_with_how_many_it_has(shown, host):
    said = shown.refused("screenshot", str(host.place / "shown.png"), "--screen", "9")
    assert "has no screen 9" in said
    assert not (host.place / "shown.png").exists()


def test_a_picture_that_has_no_room_is_not_half_there(shown, host):
    picture = host.place / "cut.png"
    command = (sys.executable, "-m", snapshot_lab.ENTRY, "--root", "/", "guest", "screenshot", shown.name)
    said = host.run("prlimit", "--fsize=512", *command, str(picture))
    assert said.returncode == 3, said.stdout + said.stderr
    assert "cannot be written: File too large" in said.stderr
    assert not picture.exists()


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
        said = guest.refused("address", "--wait", status=1)  # it would wait two minutes
        assert "has no network card" in said
        assert f"vfioctl guest attach {guest.name} --network NETWORK" in said
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


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ada@laptop"


@pytest.mark.parametrize(("devices", "why"), [("", "has no channel"), (CHANNEL, "is not connected")])
def test_a_password_and_keys_need_an_agent_and_nothing_of_them_is_said(host, devices, why):
    guest = Living(host, devices=devices)
    secret, key = host.place / "secret", host.place / "ada.pub"
    secret.write_text("open sesame\n")
    key.write_text(f"{KEY}\n")
    asked = (
        ("passwd", guest.name, "--user", "ada", "--password-file", str(secret)),
        ("ssh-key", "list", guest.name, "--user", "ada"),
        ("ssh-key", "add", guest.name, "--user", "ada", "--key", str(key)),
        ("ssh-key", "remove", guest.name, "--user", "ada", "--key", str(key)),
    )
    try:
        for code in ("guest.off", "guest.no_agent"):
            for argv in asked:
                ended = guest.cli(*argv)
                said = ended.stdout + ended.stderr
                assert (ended.returncode, f"[{code}]" in said) == (3, True), said
                assert "sesame" not in said
                assert (why in said) == (code == "guest.no_agent")
            host.lab.virsh("start", guest.name, check=False)
    finally:
        guest.remove()


def test_libvirt_itself_has_no_way_to_a_user_without_an_agent(host):
    """What it says where the agent goes between our look and the call, as one error of ours."""
    guest = Living(host, devices=CHANNEL)
    host.lab.virsh("start", guest.name)
    try:
        with connect(Node("here", host.lab.uri)) as connection:
            for work in (
                lambda: set_guest_password(connection, guest.uuid, "ada", "open sesame", is_hashed=False),
                lambda: read_authorized_keys(connection, guest.uuid, "ada"),
                lambda: add_authorized_keys(connection, guest.uuid, "ada", (KEY,)),
                lambda: remove_authorized_keys(connection, guest.uuid, "ada", (KEY,)),
            ):
                with pytest.raises(VfioctlError, match=r"of ada: .*agent is not connected") as caught:
                    work()
                assert "sesame" not in str(caught.value)
    finally:
        guest.remove()
