"""Whether a guest would take its card past vfioctl, and with it the host's picture. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.config.load import managed_guests
from vfioctl.doctor.definitions import AUTOSTART, Definition, Definitions, autostarts
from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.host.model import PciDevice
from vfioctl.kinds.pci import HANGING
from vfioctl.shell import argument


def look(guest: Definition, every: Definitions, host: Host) -> Iterator[Finding]:
    """libvirt left alone with a card that it must not unbind, a card of a managed guest, a start at boot."""
    managed = managed_guests(host.paths)
    if guest.name not in managed:
        yield from _left_alone(guest, host)
        yield from _of_managed(guest, every, managed)
    yield from _at_boot(guest, host)


def _enable(guest: Definition) -> str:
    return f"Let vfioctl manage it: vfioctl enable {argument(guest.name)}"


def _left_alone(guest: Definition, host: Host) -> Iterator[Finding]:
    """With managed='yes' libvirt unbinds the driver itself: nvidia's waits for its users, and never returns."""
    modes = {dev.address: dev.managed for dev in guest.domain.hostdevs if dev.address}
    for device in guest.devices:
        if modes.get(device.address) and (why := _why_not(device, host)):
            yield Finding(
                "domain.managed_yes",
                f"{guest.name} takes {device.address} with managed='yes' and has no guest file: {why}.",
                Severity.WARN, _enable(guest), evidence=guest.path,
            )  # fmt: skip


def _why_not(device: PciDevice, host: Host) -> str:
    if device.driver in HANGING:
        return f"libvirt unbinds the driver {device.driver}, which may hang the kernel and libvirt for good"
    if device.boot_vga and device.driver and not host.is_vfio_driver(device.driver):
        return "libvirt unbinds the driver of the boot card under the desktop"
    return ""


def _of_managed(guest: Definition, every: Definitions, managed: tuple[str, ...]) -> Iterator[Finding]:
    for other in (one for one in every.guests if one.name in managed):
        for address in sorted({*guest.domain.pci_addresses} & {*other.domain.pci_addresses}):
            yield Finding(
                "domain.wants_pinned",
                f"{guest.name} takes {address}, which vfioctl hands to {other.name}, and has no guest file: it starts "
                "past vfioctl.",
                Severity.WARN, _enable(guest), evidence=f"{guest.path}, {other.path}",
            )  # fmt: skip


def _at_boot(guest: Definition, host: Host) -> Iterator[Finding]:
    """A start with the daemon takes the only card before anybody has seen a login screen."""
    cards = host.displays()
    if len(cards) == 1 and cards[0].address in guest.domain.pci_addresses and autostarts(host.paths, guest.name):
        yield Finding(
            "domain.starts_at_boot",
            f"{guest.name} starts with the host and takes {cards[0].address}, its only card: no login screen stays.",
            Severity.WARN, f"virsh autostart --disable {argument(guest.name)}",
            evidence=f"/{AUTOSTART}/{guest.name}.xml",
        )  # fmt: skip
