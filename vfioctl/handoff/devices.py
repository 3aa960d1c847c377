"""Which devices a guest gets: the hostdevs, the configured ones, and the other functions of their slots."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.config.model import GuestConfig
from vfioctl.events.model import Domain
from vfioctl.frozen import frozen
from vfioctl.host.host import Host
from vfioctl.host.model import PciDevice
from vfioctl.txn.step import Finding, Severity


@frozen
class Wanted:
    """The devices in the order in which they were named, and what is to be said about the choice."""

    devices: tuple[PciDevice, ...]
    findings: tuple[Finding, ...]


def wanted(domain: Domain, config: GuestConfig, host: Host) -> Wanted:
    """The devices that `domain` and its guest file ask for, with the siblings that are taken along."""
    named = tuple(dict.fromkeys((*domain.pci_addresses, *config.devices, *config.include)))
    missing = tuple(_missing(address, domain) for address in named if not host.has_device(address))
    devices = {address: host.device(address) for address in named if host.has_device(address)}
    siblings = {dev.address: dev for dev in _siblings(tuple(devices.values()), host)}
    taken = tuple(_taken_along(dev) for dev in siblings.values())
    said = (*missing, *taken, *_managed(domain, config), *_formerly_managed(domain, host))
    return Wanted((*devices.values(), *siblings.values()), said)


def _siblings(devices: Iterable[PciDevice], host: Host) -> Iterable[PciDevice]:
    given = tuple(devices)
    known = {device.address for device in given}
    for device in given:
        if device.is_bridge:
            continue
        for sibling in host.functions(device.address):
            if sibling.address not in known and not sibling.is_bridge:
                known.add(sibling.address)
                yield sibling


def _missing(address: str, domain: Domain) -> Finding:
    origin = "the domain's hostdev" if address in domain.pci_addresses else "the guest file"
    return Finding(
        "device.missing",
        f"There is no PCI device {address}, which {origin} names.",
        hint="See which cards there are with: vfioctl gpu list",
    )


def _taken_along(device: PciDevice) -> Finding:
    return Finding(
        "device.taken_along",
        f"{device.address} is taken along: it is another function of the same card.",
        severity=Severity.INFO,
    )


def _managed(domain: Domain, config: GuestConfig) -> Iterable[Finding]:
    """A domain that mixes both modes for what it gets is a trap: libvirt remembers the mode of the first run."""
    modes = {dev.managed for dev in domain.hostdevs if dev.kind == "pci"}
    if len(modes) > 1:
        from vfioctl.typed import argument  # few starts need it

        yield Finding(
            "domain.mixed_managed",
            f"The hostdevs of {domain.name} mix managed='yes' and managed='no'; libvirt may then leave one behind.",
            severity=Severity.WARN,
            hint=f"Make them alike with: vfioctl enable {argument(config.guest)}",
        )


def _formerly_managed(domain: Domain, host: Host) -> Iterable[Finding]:
    if not domain.pci_addresses:
        return ()
    from vfioctl.handoff import managed  # only guests with a hostdev need it

    return managed.findings(host.paths, domain)
