"""What a start needs that is no file: USB devices, networks, a CPU model, free VFIO groups. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl.events.required import UsbDevice
from vfioctl.handoff.start_model import Start
from vfioctl.host import cpu_models, links, networks, usb
from vfioctl.host.holders import scan
from vfioctl.host.model import DeviceNode
from vfioctl.host.networks import NetworkState
from vfioctl.plugin.types import Finding, Severity
from vfioctl.typed import word

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
    """What is not there or not free."""
    yield from _usb(start)
    yield from _links(start)
    yield from _networks(start)
    yield from _cpu_model(start)
    yield from _groups(start)


def _usb(start: Start) -> Iterator[Finding]:
    present = usb.devices(start.paths) if start.needs.usb else ()
    for wanted in start.needs.usb:
        alike = [entry for entry in present if _fits(wanted, entry)]
        if not alike:
            yield Finding(
                "start.usb_missing", f"The USB device {_named(wanted)} of the guest is not plugged in.",
                hint=start.edit("See which there are with lsusb and plug it in, or set startupPolicy='optional'"),
            )  # fmt: skip
        elif len(alike) > 1 and wanted.bus is None:
            yield Finding(
                "start.usb_ambiguous",
                f"{len(alike)} USB devices are {_named(wanted)}, and libvirt does not choose between them.",
                hint=start.edit("Give the one that is meant an <address bus=… device=…/>"),
            )


def _fits(wanted: UsbDevice, entry: usb.UsbEntry) -> bool:
    pairs = (
        (wanted.vendor, entry.vendor), (wanted.product, entry.product), (wanted.bus, entry.bus),
        (wanted.device, entry.device),
    )  # fmt: skip
    return all(wish in (None, is_so) for wish, is_so in pairs)


def _named(wanted: UsbDevice) -> str:
    """"1234:beef at bus 1 device 7", as far as it is said."""
    identity = f"{wanted.vendor or 0:04x}:{wanted.product or 0:04x}" if wanted.vendor is not None else ""
    place = f"at bus {wanted.bus} device {wanted.device}" if wanted.bus is not None else ""
    return " ".join(part for part in (identity, place) if part)


def _links(start: Start) -> Iterator[Finding]:
    bridges = [networks.bridge(start.paths, name) for name in start.needs.networks]
    wanted = {link.name: link for link in start.needs.links}
    if not (wanted or any(bridges)) or not links.are_shown(start.paths):
        return
    for link in wanted.values():
        if not links.is_there(start.paths, link.name):
            yield _absent(start, link.name, Severity.WARN if link.by_any_name else Severity.BLOCK)
        elif link.is_bridge and not links.is_bridge(start.paths, link.name):
            yield Finding(
                "start.bridge_missing", f"{link.name}, which the guest uses as a bridge, is none.",
                hint=start.edit("Name a bridge"),
            )  # fmt: skip
    for name, bridge in zip(start.needs.networks, bridges, strict=True):
        if bridge and not links.is_there(start.paths, bridge):
            yield Finding(
                "start.bridge_missing", f"There is no bridge {bridge}, which network {name} of the guest uses.",
                hint=f"Make it again with: virsh net-destroy {word(name)}; virsh net-start {word(name)}",
            )  # fmt: skip


def _absent(start: Start, name: str, severity: Severity) -> Finding:
    return Finding(
        "start.bridge_missing", f"There is no network interface {name}, which the guest is to be connected to.",
        severity, start.edit("Make it, or name another one"),
    )  # fmt: skip


def _networks(start: Start) -> Iterator[Finding]:
    for name in start.needs.networks:
        if words := NETWORKS.get(networks.state(start.paths, name)):
            code, message, hint = words
            yield Finding(code, message.format(name=name), hint=hint.format(name=word(name)))


def _cpu_model(start: Start) -> Iterator[Finding]:
    model, emulator = start.needs.cpu_model, start.request.domain.emulator
    if model and emulator and cpu_models.is_unknown(start.paths, emulator, model):
        yield Finding(
            "start.cpu_model", f"Neither libvirt nor {emulator} knows the CPU model {model} of the guest.",
            hint=start.edit("See which there are with virsh domcapabilities, and name one of them"),
        )  # fmt: skip


def _groups(start: Start) -> Iterator[Finding]:
    """Groups that a process has open while their devices are with the host: QEMU could not open them."""
    host = start.request.host
    given = {device.iommu_group: device.address for device in start.request.devices if device.iommu_group is not None}
    held = {device.iommu_group for device in start.request.devices if host.is_vfio_driver(device.driver or "")}
    nodes = [node for group in given if group not in held and (node := _node(start, f"/dev/vfio/{group}"))]
    for holder in scan(start.paths, nodes).holders if nodes else ():
        for path in holder.nodes:
            yield Finding(
                "start.vfio_open",
                f"Process {holder.pid} ({holder.comm}) has {path} open, the IOMMU group of "
                f"{given[int(os.path.basename(path))]}: QEMU could not open it.",
                hint="End that process; it may be a guest with another device of the group: virsh list",
            )


def _node(start: Start, path: str) -> DeviceNode | None:
    try:
        number = os.stat(start.paths.at(path)).st_rdev
    except OSError:
        return None
    return DeviceNode(path, (os.major(number), os.minor(number)), "vfio", None)
