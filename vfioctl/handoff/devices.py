"""Which devices a guest gets: the hostdevs, the configured ones, and what goes along with them."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.config.model import GuestConfig
from vfioctl.events.model import Domain
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import frozen
from vfioctl.host.host import Host
from vfioctl.host.model import PciDevice
from vfioctl.plugin.choice import Choice, choose


@frozen
class Wanted:
    """The devices in the order in which they were named, and what is to be said about the choice."""

    devices: tuple[PciDevice, ...]
    findings: tuple[Finding, ...]


def wanted(domain: Domain, config: GuestConfig, host: Host) -> Wanted:
    """The devices that `domain` and its guest file ask for, with what is taken along, without what is left out."""
    asked = dict.fromkeys((*domain.pci_addresses, *config.devices))
    further = tuple(address for address in dict.fromkeys(config.include) if address not in asked)
    named = (*asked, *further)
    gone = [address for address in named if not host.has_device(address)]
    missing = tuple(_missing(domain, gone))
    there, members = ([one for one in addresses if one not in gone] for addresses in (asked, further))
    chosen = choose(there, config.exclude, host, config.allow_in_use, members)
    said = (
        *missing, *_excluded(domain, config, named, host), *_left(members, config, chosen),
        *(_taken_along(device) for device in chosen.along), *(_stays(device) for device in chosen.stays),
        *_managed(domain, config), *_formerly_managed(domain, host), *_in_other_words(domain, config, host, chosen),
    )  # fmt: skip
    return Wanted((*chosen.named, *chosen.along), said)


def _in_other_words(domain: Domain, config: GuestConfig, host: Host, chosen: Choice) -> Iterable[Finding]:
    """What is given, or left to libvirt, without a plain <hostdev>."""
    plain = all(dev.kind == "pci" and not dev.in_arguments for dev in domain.hostdevs)
    if plain and not domain.unseen and not (domain.needs and domain.needs.networks):
        return ()
    from vfioctl.handoff import left_to_libvirt  # few guests need it

    return left_to_libvirt.findings(domain, config, host, chosen.addresses)


def _missing(domain: Domain, addresses: list[str]) -> Iterable[Finding]:
    """A finding for each of `addresses`, where no device is."""
    in_arguments = {dev.address for dev in domain.hostdevs if dev.in_arguments} if addresses else set()
    in_domain = set(domain.pci_addresses)
    for address in addresses:
        origin = (
            "QEMU's arguments in the domain" if address in in_arguments
            else "the domain's hostdev" if address in in_domain else "the guest file"
        )  # fmt: skip
        yield Finding(
            "device.missing",
            f"There is no PCI device {address}, which {origin} names.",
            hint="See which cards there are with: vfioctl gpu list",
        )


def _excluded(domain: Domain, config: GuestConfig, named: tuple[str, ...], host: Host) -> Iterable[Finding]:
    """What cannot be meant: a function that is named and left out, and one to leave out that is not there."""
    for address in config.exclude:
        if address in named:
            yield Finding(
                "exclude.named",
                f"{address} is left out by the setting exclude, but {_named_by(address, domain, config)} it.",
                hint=f"Remove {address} from one of the two.",
            )
        elif not host.has_device(address):
            yield Finding(
                "exclude.missing", f"The setting exclude names {address}, where there is no PCI device.",
                Severity.WARN, hint="See which there are with: vfioctl gpu list --all",
            )  # fmt: skip


def _left(members: Iterable[str], config: GuestConfig, chosen: Choice) -> Iterable[Finding]:
    """What the setting `include` names although it has nothing to do with what is given."""
    for address in members:
        if address not in chosen.addresses and address not in config.exclude:
            from vfioctl.shell import argument  # few starts need it

            yield Finding(
                "include.no_member",
                f"The setting include names {address}, which is in no group or slot of a given device: it stays.",
                Severity.WARN,
                hint=f"To give it all the same: vfioctl config add devices {address} --guest {argument(config.guest)}",
            )


def _named_by(address: str, domain: Domain, config: GuestConfig) -> str:
    if address in domain.pci_addresses:
        return "the domain names"
    return f"the setting {'include' if address in config.include else 'devices'} names"


def _taken_along(device: PciDevice) -> Finding:
    return Finding(
        "device.taken_along",
        f"{device.address} is taken along: it is another function of the same card.",
        severity=Severity.INFO,
    )


def _stays(device: PciDevice) -> Finding:
    return Finding(
        "device.stays",
        f"{device.address} is another function of the same card and stays with the host, which uses it.",
        severity=Severity.INFO,
    )


def _managed(domain: Domain, config: GuestConfig) -> Iterable[Finding]:
    """A domain that mixes both modes for what it gets is a trap: libvirt remembers the mode of the first run."""
    modes = {dev.managed for dev in domain.hostdevs if dev.kind == "pci" and not dev.in_arguments}
    if len(modes) > 1:
        from vfioctl.shell import argument  # few starts need it

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
