"""The snapshots that libvirt keeps of its guests. Opens no image, changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.frozen import frozen
from vfioctl.virt.connection import binding, with_secrets
from vfioctl.virt.together import together

if TYPE_CHECKING:
    from libvirt import virConnect, virDomain, virDomainSnapshot

    from vfioctl.virt.connection import Connection


@frozen
class GuestSnapshot:
    """A snapshot; `created` in seconds since the epoch, `state` of the guest then, as libvirt calls it.

    `files` are those that its disks went on in: an external snapshot's overlays, by target.
    """

    guest: str  # its UUID
    name: str
    created: int
    state: str
    internal: bool
    external: bool
    current: bool
    parent: str = ""
    description: str = ""
    files: tuple[tuple[str, str], ...] = ()
    xml: str = ""


def read_snapshots(connection: Connection, uuid: str = "") -> tuple[GuestSnapshot, ...]:
    """Those of the guest `uuid`, or of every guest of the node, oldest first. Raises as `Connection.ask`."""
    return connection.ask(lambda libvirt: _all(libvirt, uuid), "the list of snapshots")


def _all(libvirt: virConnect, uuid: str) -> tuple[GuestSnapshot, ...]:
    domains = [libvirt.lookupByUUIDString(uuid)] if uuid else libvirt.listAllDomains()
    found = [one for some in together(_of, domains) for one in some]
    return tuple(sorted(found, key=lambda one: (one.created, one.name)))


def _of(domain: virDomain) -> list[GuestSnapshot]:
    module, uuid = binding(), domain.UUIDString()
    try:
        kept = domain.listAllSnapshots()
        current = domain.snapshotCurrent().getName() if kept and domain.hasCurrentSnapshot() else ""
        return [_read(one, uuid, current) for one in kept]
    except module.libvirtError as error:
        if error.get_error_code() in (module.VIR_ERR_NO_DOMAIN, module.VIR_ERR_NO_DOMAIN_SNAPSHOT):
            return []  # it went while it was read
        raise


def _read(snapshot: virDomainSnapshot, uuid: str, current: str) -> GuestSnapshot:
    # With what is secret in the domain: it is recorded again from this.
    xml = with_secrets(snapshot.getXMLDesc, binding().VIR_DOMAIN_SNAPSHOT_XML_SECURE)
    root = ET.fromstring(xml)
    disks = root.findall("disks/disk")
    memory = root.find("memory")
    kinds = {one.get("snapshot", "") for one in disks} | {memory.get("snapshot", "") if memory is not None else ""}
    name = root.findtext("name", "")
    return GuestSnapshot(
        guest=uuid, name=name, created=int(root.findtext("creationTime", "0")), state=root.findtext("state", ""),
        internal="internal" in kinds, external="external" in kinds, current=name == current,
        parent=root.findtext("parent/name", ""), description=root.findtext("description", ""),
        files=tuple((one.get("name", ""), _file(one)) for one in disks if one.get("snapshot") == "external"), xml=xml,
    )  # fmt: skip


def _file(disk: ET.Element) -> str:
    source = disk.find("source")
    return source.get("file", "") if source is not None else ""
