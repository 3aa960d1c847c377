"""What of its node a guest can be given: volumes and networks by their names, and who uses them. Asks libvirt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import (
    Finding,
    Refused,
    Severity,
    other_sources,
    read_guests,
    read_network,
    read_pool,
    read_volume,
)
from vfioctl_guest import hotplug
from vfioctl_guest.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import Connection
    from vfioctl_guest.life import Subject

FORMATS = {"raw": "raw", "qcow2": "qcow2", "iso": "raw"}  # what libvirt says of a volume, and how QEMU opens it


def medium(connection: Connection, word: str) -> hotplug.Medium:
    """The volume POOL/VOLUME. Its format is what libvirt says, never guessed: Refused("guest.volume")."""
    pool, _, volume = word.partition("/")
    if not (pool and volume):
        said = f"{word!r} names no volume: expected POOL/VOLUME."
        raise Refused("guest.volume", said, state=NOTHING_CHANGED)
    found = read_volume(connection, read_pool(connection, pool), volume)
    block = found.kind == "block"
    form = "raw" if block else FORMATS.get(found.format, "")
    if not form:
        said = f"The volume {word} is of the format {found.format or 'nobody knows'}: expected qcow2 or raw."
        raise Refused("guest.volume", said, state=NOTHING_CHANGED)
    return hotplug.Medium(found.path, "block" if block else "file", form)


def card_on(connection: Connection, network: str) -> str:
    """A network card on `network`, with a MAC that no guest of the node has. Raises Refused("network.unknown")."""
    read_network(connection, network)
    taken = (hotplug.macs(xml) for one in read_guests(connection) for xml in (one.xml, one.live_xml) if xml)
    return hotplug.card(network, hotplug.free_mac(frozenset().union(*taken)))


def in_use(connection: Connection, about: Subject, device: str, *, readonly: bool) -> tuple[Finding, ...]:
    """A disk that a guest has already: two that write to one file destroy it."""
    path = hotplug.path_of(device)
    if any(path in hotplug.paths(xml) for xml in (about.guest.xml, about.guest.live_xml) if xml):
        return (Finding("guest.in_use", f"Guest {about.name} has {path} already."),)
    if path in other_sources(connection, about.guest.uuid):
        severity = Severity.WARN if readonly else Severity.BLOCK
        return (Finding("guest.in_use", f"Another guest uses {path}.", severity, hint="Give it one of its own."),)
    return ()
