"""What a domain takes from the host in other words than <hostdev>, and who sees to it: never silence. Reads facts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.events.network import Pool, read_pool
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import frozen
from vfioctl.host import interfaces, mediated, networks, sriov
from vfioctl.plugin.acceptance import against

if TYPE_CHECKING:
    from vfioctl.config.model import GuestConfig
    from vfioctl.events.model import Domain
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths

FEW = 8  # addresses in a sentence


@frozen
class _Start:
    """The start of `domain`, which gets the functions `given` besides what networks give."""

    domain: Domain
    config: GuestConfig
    host: Host
    given: frozenset[str]


def findings(domain: Domain, config: GuestConfig, host: Host, given: Iterable[str]) -> Iterable[Finding]:
    """A word about each device that is given in QEMU's arguments, is mediated, or comes out of a network's pool."""
    there = frozenset(given)
    yield from (_in_arguments(dev.address) for dev in domain.hostdevs if dev.in_arguments and dev.address in there)
    yield from (_unseen(text) for text in domain.unseen)
    yield from _mediated(domain, host, there)
    start = _Start(domain, config, host, there)
    for name, count in Counter(domain.needs.networks if domain.needs else ()).items():
        yield from _network(name, count, start)


def has_any(domain: Domain, paths: Paths) -> bool:
    """Whether libvirt alone gives the guest something of a device: a mediated one, or a function out of a pool."""
    networks_of_it = domain.needs.networks if domain.needs else ()
    return any(dev.mdev_uuid for dev in domain.hostdevs) or any(_may_have_pool(name, paths) for name in networks_of_it)


def _may_have_pool(name: str, paths: Paths) -> bool:
    try:
        return _pool_of(name, paths) is not None
    except PermissionError:
        return True


def _pool_of(name: str, paths: Paths) -> Pool | None:
    return read_pool(networks.read(paths, name) or b"")


def _in_arguments(address: str | None) -> Finding:
    return Finding(
        "device.in_arguments",
        f"{address} is given in QEMU's arguments: libvirt does nothing for it, vfioctl hands it over.",
        Severity.INFO,
    )


def _unseen(text: str) -> Finding:
    return Finding(
        "device.unseen",
        f"QEMU's argument {text} may take a device of the host, and does not say which one.",
        Severity.WARN, hint='Name it in the guest file, for example: devices = ["0000:01:00.0"]',
    )  # fmt: skip


def _mediated(domain: Domain, host: Host, given: frozenset[str]) -> Iterable[Finding]:
    for uuid in dict.fromkeys(dev.mdev_uuid for dev in domain.hostdevs if dev.mdev_uuid):
        parent = mediated.parent_of(host.paths, uuid)
        if parent in given:
            yield _together(domain, f"{parent} and its mediated device {uuid}")
        elif parent and (owner := sriov.physical(host.paths.pci(parent))) in given:
            yield _together(domain, f"{owner} and the mediated device {uuid} of its virtual function {parent}")
        elif mediated.is_there(host.paths, uuid):
            of = f" of {parent}" if parent else ""
            yield Finding(
                "device.mediated",
                f"The mediated device {uuid}{of} needs nothing from vfioctl: its parent keeps its driver.",
                Severity.INFO,
            )
        else:
            yield Finding(
                "device.mediated",
                f"The mediated device {uuid} needs nothing from vfioctl. It is not there now, and the guest needs it.",
                Severity.WARN, hint=f"Make it with: mdevctl start --uuid {uuid}",
            )  # fmt: skip


def _together(domain: Domain, both: str) -> Finding:
    return Finding(
        "device.mediated_parent", f"{domain.name} gets {both}, which vanishes with that one's driver.",
        hint="Give either the device or its mediated ones.",
    )  # fmt: skip


def _network(name: str, count: int, start: _Start) -> Iterable[Finding]:
    """What is to be said of the network `name`, on which the guest has `count` interfaces."""
    try:
        pool = _pool_of(name, start.host.paths)
    except PermissionError:
        yield _unreadable(name)
        return
    if pool:
        addresses = functions(pool, start.host)
        yield _left(name, count, addresses)
        yield from _too_few(name, count, addresses, start)
        yield from _in_use(name, addresses, start)
        yield from _vanishing(name, addresses, start)


def _unreadable(name: str) -> Finding:
    """Without root that is all that can be said; root is kept from it by a security module."""
    without, severity = ("", Severity.WARN) if os.geteuid() == 0 else (" without root", Severity.INFO)
    message = f"Whether network {name} gives the guest a device of the host could not be read{without}."
    return Finding("network.pool_unread", message, severity)


def functions(pool: Pool, host: Host) -> tuple[str, ...]:
    """The functions that libvirt chooses from, as far as they are there."""
    owners = (owner for name in pool.physical for owner in sorted(interfaces.functions(host.paths, name)))
    virtual = (address for owner in owners if host.has_device(owner) for address in host.device(owner).virtual)
    return tuple(address for address in dict.fromkeys((*pool.addresses, *virtual)) if host.has_device(address))


def _vanishing(name: str, addresses: tuple[str, ...], start: _Start) -> Iterable[Finding]:
    """libvirt would choose after the hook, when the driver that made the functions is gone."""
    for physical in sorted({start.host.device(address).physical or "" for address in addresses} & start.given):
        yield Finding(
            "device.physical",
            f"{physical} is the physical function of what network {name} gives, which vanishes with its driver.",
            hint="Give either the physical function or its virtual ones.",
        )


def _left(name: str, count: int, addresses: tuple[str, ...]) -> Finding:
    return Finding(
        "network.pool",
        f"Network {name} gives the guest {count if count > 1 else 'one'} of "
        f"{_shown(addresses) or 'the functions of a card that has none now'}: "
        "libvirt chooses at the start and binds by itself, vfioctl does nothing for it.",
        Severity.INFO,
    )


def _too_few(name: str, count: int, addresses: tuple[str, ...], start: _Start) -> Iterable[Finding]:
    """libvirt gives each interface a function of its own (networkAllocatePort); without any it has none to count."""
    taken = _taken(addresses, start)
    free = len(addresses) - len(taken)
    if addresses and free < count:
        interfaces = "an interface" if count == 1 else f"{count} interfaces"
        there = f"{free or 'no'} free {'functions' if free > 1 else 'function'}"
        others = f"; taken: {_shown(taken)}" if taken else ""
        yield Finding(
            "network.pool_empty",
            f"{start.domain.name} has {interfaces} on network {name}, which has {there}{others}.",
            hint="Stop a guest that has one, take an interface away with virsh edit, or add functions to the network "
            "with virsh net-edit.",
        )


def _taken(addresses: tuple[str, ...], start: _Start) -> tuple[str, ...]:
    """Those that somebody else has open, and those that the guest gets by another way, or that vanish with its card."""
    host = start.host
    watched = tuple(node for address in addresses for node in host.nodes(address) if node.role == "vfio")
    holders = host.scan(watched).holders
    own = host.qemu_of(start.domain.uuid, start.domain.name) if holders else None
    opened = {path for holder in holders if holder.pid != own for path in holder.nodes}
    gone = {node.address for node in watched if node.path in opened} | start.given
    return tuple(one for one in addresses if not gone.isdisjoint((one, host.device(one).physical)))


def _in_use(name: str, addresses: tuple[str, ...], start: _Start) -> Iterable[Finding]:
    for device in map(start.host.device, addresses):
        found = () if device.is_card else against(device, start.host, allowed=start.config.allow_in_use)
        if device.is_card or found:
            reason = found[0].message.rstrip(".") if found else "it is a card"
            instead = "" if found else ", or give it as a hostdev"  # what is in use is refused as a hostdev, too
            yield Finding(
                "network.pool_in_use",
                f"Network {name} may give {device.address} to the guest, without any of vfioctl's care: {reason}.",
                hint=f"Take {device.address} out of the network with virsh net-edit{instead}.",
            )


def _shown(addresses: tuple[str, ...]) -> str:
    return ", ".join(addresses[:FEW]) + (f" and {len(addresses) - FEW} more" if len(addresses) > FEW else "")
