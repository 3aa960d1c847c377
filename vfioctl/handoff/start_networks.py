"""The bridges, TAPs and networks of libvirt that a start needs. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.handoff.start_model import Start
from vfioctl.host import behind, links, networks
from vfioctl.host.networks import NetworkState
from vfioctl.plugin.types import Finding
from vfioctl.shell import word

NETWORKS = {
    NetworkState.ABSENT: (
        "start.network_unknown", "There is no network {name}, which the guest is to be connected to.",
        "See which there are with: virsh net-list --all",
    ),
    NetworkState.INACTIVE: (
        "start.network_inactive", "Network {name}, which the guest is to be connected to, is not active.",
        "Start it with: virsh net-start {name}",
    ),
}  # fmt: skip


def look(start: Start) -> Iterator[Finding]:
    """What is not there or not active."""
    yield from _links(start)
    yield from _networks(start)


def _links(start: Start) -> Iterator[Finding]:
    bridges = {name: networks.bridge(start.paths, name) for name in dict.fromkeys(start.needs.networks)}
    wanted = {link.name: link for link in start.needs.links}
    if not (wanted or any(bridges.values())) or not links.are_shown(start.paths):
        return
    for link in wanted.values():
        name = links.name_of(start.paths, link.name)
        if not name:
            yield _absent(start, link.name)
        elif link.is_bridge and not links.is_bridge(start.paths, name):
            yield Finding(
                "start.bridge_missing", f"{link.name}, which the guest uses as a bridge, is none.",
                hint=start.edit("Name a bridge"),
            )  # fmt: skip
        elif address := behind.of_interface(start.paths, name, start.taken):
            yield start.given_twice(f"{link.name}, which the guest is to be connected to,", address)
    for name, bridge in bridges.items():
        if bridge and not links.name_of(start.paths, bridge):
            yield Finding(
                "start.bridge_missing", f"There is no bridge {bridge}, which network {name} of the guest uses.",
                hint=f"Make it again with: virsh net-destroy {word(name)}; virsh net-start {word(name)}",
            )  # fmt: skip


def _absent(start: Start, name: str) -> Finding:
    return Finding(
        "start.bridge_missing", f"There is no network interface {name}, which the guest is to be connected to.",
        hint=start.edit("Make it, or name another one"),
    )  # fmt: skip


def _networks(start: Start) -> Iterator[Finding]:
    for name in dict.fromkeys(start.needs.networks):
        if words := NETWORKS.get(networks.state(start.paths, name)):
            code, message, hint = words
            yield Finding(code, message.format(name=name), hint=hint.format(name=word(name)))
