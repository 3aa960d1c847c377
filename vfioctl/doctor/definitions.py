"""The guests that get devices, as libvirt keeps their definitions: asks no daemon, needs no binding. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl import files
from vfioctl.errors import Irregular, Refused
from vfioctl.events.domain import UNREAD, read_domain
from vfioctl.events.element import Element, parse_element
from vfioctl.events.libvirt import INPUT_CAP
from vfioctl.events.model import Domain
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import frozen
from vfioctl.host.host import Host
from vfioctl.host.model import PciDevice
from vfioctl.paths import Paths

GUESTS, AUTOSTART, SUFFIX = "etc/libvirt/qemu", "etc/libvirt/qemu/autostart", ".xml"
TAKES = (b"hostdev", b"vfio-pci", b"nvme")  # an XML without any of these takes no PCI device of the host


@frozen
class Definition:
    """A guest that takes PCI devices: what its XML, which stands in `path`, says, and the devices that are there."""

    name: str
    path: str  # as on the host
    domain: Domain
    root: Element
    devices: tuple[PciDevice, ...]

    @property
    def has_card(self) -> bool:
        return any(device.is_card for device in self.devices)

    def all(self, name: str) -> Iterator[Element]:
        """Its devices of the sort `name`."""
        devices = self.root.find("devices")
        return devices.all(name) if devices else iter(())


@frozen
class Definitions:
    """The guests of this host that take devices, and what of the definitions could not be read."""

    guests: tuple[Definition, ...] = ()
    findings: tuple[Finding, ...] = ()


def read(host: Host) -> Definitions:
    """What libvirt keeps below /etc. A guest that was started without a definition is not among it."""
    directory = host.paths.at(GUESTS)
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(SUFFIX))
    except PermissionError:
        return Definitions(findings=(_denied(f"/{GUESTS}"),))
    except (FileNotFoundError, NotADirectoryError):
        return Definitions()
    found = [_one(host, f"/{GUESTS}/{name}") for name in names]
    return Definitions(
        tuple(one for one in found if isinstance(one, Definition)),
        tuple(one for one in found if isinstance(one, Finding)),
    )


def _one(host: Host, path: str) -> Definition | Finding | None:
    """The guest of one file; None where it takes no PCI device."""
    try:
        data = files.read_bytes(host.paths.at(path), follow=True, limit=INPUT_CAP)
        return defined(host, path, data) if any(word in data for word in TAKES) else None
    except PermissionError:
        return _denied(path)
    except (Irregular, OSError) as error:
        return Finding("domain.unreadable", f"{path} cannot be read: {error}.", Severity.WARN, evidence=path)
    except Refused as error:
        return Finding(error.code, f"{path}: {error.message}", Severity.WARN, "See it with: virsh list --all",
                       evidence=path)  # fmt: skip


def defined(host: Host, path: str, data: bytes) -> Definition | None:
    """The guest that the XML `data` defines; None where it takes no PCI device. Raises Refused ("domain.*")."""
    domain = read_domain(data)
    if not domain.pci_addresses:
        return None
    root = parse_element(data, unread=UNREAD)
    there = tuple(host.device(address) for address in domain.pci_addresses if host.has_device(address))
    return Definition(domain.name, path, domain, root, there)


def autostarts(paths: Paths, guest: str) -> bool:
    """Whether libvirt starts `guest` when its daemon starts: it keeps a link there."""
    return os.path.lexists(paths.at(AUTOSTART, f"{guest}{SUFFIX}"))


def _denied(path: str) -> Finding:
    return Finding(
        "domain.unseen", f"{path} may not be read by this user, so the guests in it were not looked at.", Severity.INFO,
        "Run it as root: sudo vfioctl doctor", evidence=path,
    )  # fmt: skip
