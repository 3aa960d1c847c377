"""What a guest needs of its node to start: its networks and pools, active. Reads libvirt's lists; opens no file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from vfioctl.plugin import Finding, argument

if TYPE_CHECKING:
    from vfioctl.plugin import Connection
    from vfioctl_guest.life import Subject

IN_PLACE = ("dir",)  # pools whose files are there whether or not libvirt has them active


def unmet(connection: Connection, about: Subject) -> tuple[Finding, ...]:
    """A finding for each network or pool of the guest that is not active, with what starts it."""
    root = ET.fromstring(about.guest.xml)
    networks, pools = connection.ask(_lists, "its networks and pools")
    return (*_networks(root, networks, about), *_pools(root, pools, about))


def _lists(libvirt: Any) -> tuple[dict[str, bool], list[tuple[str, bool, str]]]:
    networks = {one.name(): bool(one.isActive()) for one in libvirt.listAllNetworks()}
    return networks, [(one.name(), bool(one.isActive()), str(one.XMLDesc())) for one in libvirt.listAllStoragePools()]


def _networks(root: ET.Element, networks: dict[str, bool], about: Subject) -> Iterator[Finding]:
    wanted = {one.get("network", "") for one in root.iterfind("devices/interface[@type='network']/source")}
    for name in sorted(wanted - {""}):
        if name not in networks:
            text = f"Guest {about.name} is on the network {name}, which its node does not have."
            yield Finding("guest.no_network", text, hint="See what it has: vfioctl network list" + _there(about))
        elif not networks[name]:
            text = f"Guest {about.name} is on the network {name}, which is not active."
            hint = f"Start it with: vfioctl network start {argument(name)}" + _there(about)
            yield Finding("guest.network_off", text, hint=hint)


def _pools(root: ET.Element, pools: list[tuple[str, bool, str]], about: Subject) -> Iterator[Finding]:
    sources = root.findall("devices/disk/source")
    named = {one.get("pool", "") for one in sources} - {""}
    files = {one.get("file") or one.get("dev") or "" for one in sources} - {""}
    for name, active, xml in pools:
        if not active and (name in named or _is_in(xml, files)):
            text = f"Guest {about.name} has a disk in the pool {name}, which is not active."
            hint = f"Start it with: vfioctl pool start {argument(name)}" + _there(about)
            yield Finding("guest.pool_off", text, hint=hint)
    for name in sorted(named - {name for name, _, _ in pools}):
        text = f"Guest {about.name} has a disk in the pool {name}, which its node does not have."
        yield Finding("guest.no_pool", text, hint="See what it has: vfioctl pool list" + _there(about))


def _is_in(pool: str, files: set[str]) -> bool:
    """Whether one of `files` is there only while the pool is active."""
    root = ET.fromstring(pool)
    place = root.findtext("target/path", "").rstrip("/")
    there = root.get("type") in IN_PLACE
    return bool(place) and not there and any(file.startswith(f"{place}/") for file in files)


def _there(about: Subject) -> str:
    return "" if about.local else f" --node {argument(about.node)}"
