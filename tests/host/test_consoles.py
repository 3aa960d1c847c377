"""vtconsoles, platform framebuffers, DRM cards and connectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vfioctl.host.model import Connector, Framebuffer, VtConsole

if TYPE_CHECKING:
    from host_tree import Tree

CARD, OTHER = "0000:01:00.0", "0000:02:00.0"


def test_vtconsoles_are_read_with_name_and_bond(tree: Tree) -> None:
    tree.write("sys/class/vtconsole/vtcon0/name", "(S) dummy device\n")
    tree.write("sys/class/vtconsole/vtcon0/bind", "0\n")
    tree.write("sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n")
    tree.write("sys/class/vtconsole/vtcon1/bind", "1\n")
    assert tree.host().vtconsoles() == (
        VtConsole("vtcon0", "(S) dummy device", bound=False),
        VtConsole("vtcon1", "(M) frame buffer device", bound=True),
    )


def test_a_vtconsole_that_vanished_is_left_out_and_a_garbled_bond_is_none(tree: Tree) -> None:
    (tree.root / "sys/class/vtconsole/vtcon0").mkdir(parents=True)
    tree.write("sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n")
    tree.write("sys/class/vtconsole/vtcon1/bind", "?\n")
    assert tree.host().vtconsoles() == (VtConsole("vtcon1", "(M) frame buffer device", bound=False),)


def test_there_are_no_vtconsoles_without_the_class(tree: Tree) -> None:
    assert tree.host().vtconsoles() == ()


def framebuffer(tree: Tree, name: str, parent: str, driver: str | None) -> None:
    tree.write(f"sys/devices/{parent}/{name}/x")
    tree.link(f"sys/bus/platform/devices/{name}", f"../../../devices/{parent}/{name}")
    if driver:
        tree.link(f"sys/devices/{parent}/{name}/driver", f"../../bus/platform/drivers/{driver}")


def test_a_framebuffer_belongs_to_the_card_that_is_its_parent(tree: Tree) -> None:
    tree.device(CARD)
    tree.device(OTHER, boot_vga="1")
    framebuffer(tree, "simple-framebuffer.0", f"pci0000:00/{CARD}", "simple-framebuffer")
    assert tree.host().framebuffers(CARD) == (Framebuffer("simple-framebuffer.0", "simple-framebuffer"),)
    assert tree.host().framebuffers(OTHER) == ()


def test_a_framebuffer_without_parent_belongs_to_the_boot_card(tree: Tree) -> None:
    tree.device(CARD, boot_vga="0")
    tree.device(OTHER, boot_vga="1")
    framebuffer(tree, "efi-framebuffer.0", "platform", None)
    assert tree.host().framebuffers(CARD) == ()
    assert tree.host().framebuffers(OTHER) == (Framebuffer("efi-framebuffer.0", None),)


def test_other_platform_devices_and_things_that_are_no_links_are_no_framebuffers(tree: Tree) -> None:
    tree.device(CARD, boot_vga="1")
    framebuffer(tree, "serial8250", f"pci0000:00/{CARD}", None)
    tree.write("sys/bus/platform/devices/vesa-framebuffer.0", "no link")
    assert tree.host().framebuffers(CARD) == ()


def test_cards_and_connectors_are_those_of_the_function(tree: Tree) -> None:
    base = tree.device(CARD)
    tree.write(f"{base}/drm/card0/card0-HDMI-A-1/status", "connected\n")
    tree.write(f"{base}/drm/card0/card0-DP-1/status", "disconnected\n")
    tree.write(f"{base}/drm/renderD128/dev", "226:128\n")
    tree.device(OTHER)
    host = tree.host()
    assert host.cards(CARD) == ("card0",)
    assert host.connectors(CARD) == (Connector("card0-DP-1", "disconnected"), Connector("card0-HDMI-A-1", "connected"))
    assert (host.cards(OTHER), host.connectors(OTHER)) == ((), ())


@pytest.mark.parametrize("said", [None, "\n"])
def test_a_connector_that_does_not_say_its_status_is_unknown(tree: Tree, said: str | None) -> None:
    base = tree.device(CARD)
    (tree.root / base / "drm/card0/card0-DP-1").mkdir(parents=True)
    if said:
        tree.write(f"{base}/drm/card0/card0-DP-1/status", said)
    assert tree.host().connectors(CARD) == (Connector("card0-DP-1", "unknown"),)
