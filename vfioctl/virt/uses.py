"""What the guests of a node use: each path and volume that their XML names, in any version of it. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen, replace
from vfioctl.virt.connection import binding
from vfioctl.virt.disks import GuestDisk, guest_disks
from vfioctl.virt.together import together

if TYPE_CHECKING:
    from libvirt import virConnect, virDomain

    from vfioctl.virt.connection import Connection


@frozen
class Use:
    """What a guest names: as it runs, is configured, was saved, or in a snapshot. `runs`: a QEMU has it open."""

    uuid: str
    name: str
    runs: bool
    saved: bool
    paths: frozenset[str]
    pools: frozenset[str]  # the names of those that its disks are volumes of, by name


def read_uses(connection: Connection) -> tuple[Use, ...]:
    """What every guest of the node uses. Raises VfioctlError: "guest.unseen", and as `Connection.ask`."""
    return connection.ask(_uses, "what the guests use")


def other_sources(connection: Connection, uuid: str) -> frozenset[str]:
    """Every path that another guest than `uuid` names: as it runs, is configured, was saved, or in a snapshot."""
    found = connection.ask(partial(_uses, but=uuid), "what other guests use")
    return frozenset(chain.from_iterable(use.paths for use in found))


def located_disks(connection: Connection, *documents: str) -> tuple[GuestDisk, ...]:
    """The disks in the `documents`, each the XML of a guest or "": a volume of a pool has its path as the source.

    One that is not there keeps its name. Raises VfioctlError as `Connection.ask`.
    """
    disks = tuple(chain.from_iterable(guest_disks(xml) for xml in documents if xml))
    named = frozenset((disk.pool, disk.source) for disk in disks if disk.pool)
    found = connection.ask(partial(_located, volumes=named), "the volumes of disks") if named else {}
    return tuple(replace(disk, source=found.get((disk.pool, disk.source), disk.source)) for disk in disks)


def paths(xml: str) -> frozenset[str]:
    """Every file and block device that `xml` names as a disk, a backing file, NVRAM, kernel or the like.

    The emulator is a program: who looks for images beside these paths has no business in its directory.
    """
    try:
        root = ET.fromstring(xml)
    except ET.ParseError:
        return frozenset()
    attributes = {one.get(name, "") for one in root.iter() for name in ("file", "dev", "template")}
    texts = {(one.text or "").strip() for one in root.iter() if one.tag != "emulator"}
    return frozenset(one for one in attributes | texts if one.startswith("/"))


def _uses(libvirt: virConnect, but: str = "") -> tuple[Use, ...]:
    guests = [domain for domain in libvirt.listAllDomains() if domain.UUIDString() != but]
    return tuple(use for use in together(partial(_use, libvirt), guests) if use)


def _use(libvirt: virConnect, domain: virDomain) -> Use | None:
    """None for a guest that has gone meanwhile."""
    module = binding()
    try:
        every = tuple(_every_xml(domain))
        volumes = frozenset(chain.from_iterable(map(_volumes, every)))
        named = frozenset(chain(*map(paths, every), _located(libvirt, volumes).values()))
        return Use(
            domain.UUIDString(), domain.name(), bool(domain.isActive()), bool(domain.hasManagedSaveImage()), named,
            frozenset(pool for pool, _ in volumes),
        )  # fmt: skip
    except module.libvirtError as error:
        if error.get_error_code() == module.VIR_ERR_NO_DOMAIN:
            return None
        raise VfioctlError(
            "guest.unseen", f"What {domain.name()} uses could not be seen: {error.get_error_message()}.",
        ) from error


def _volumes(xml: str) -> Iterator[tuple[str, str]]:
    """Pool and name of the disks that are given as a volume of a pool (formatdomain, disk type volume)."""
    for source in ET.fromstring(xml).iter("source"):
        pool, volume = source.get("pool", ""), source.get("volume", "")
        if pool and volume:
            yield pool, volume


def _located(libvirt: virConnect, volumes: frozenset[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The paths of `volumes`, as far as they are there."""
    module, found = binding(), {}
    for pool, volume in volumes:
        try:
            found[pool, volume] = _path(libvirt, pool, volume)
        except module.libvirtError as error:
            if error.get_error_code() not in (module.VIR_ERR_NO_STORAGE_POOL, module.VIR_ERR_NO_STORAGE_VOL):
                raise
    return found


def _path(libvirt: virConnect, pool: str, volume: str) -> str:
    """The path of a volume; of one in a pool that is not active, where it is when the pool is."""
    found = libvirt.storagePoolLookupByName(pool)
    if found.isActive():
        return str(found.storageVolLookupByName(volume).path())
    return f"{ET.fromstring(found.XMLDesc()).findtext('target/path', '')}/{volume}"


def _every_xml(domain: virDomain) -> Iterator[str]:
    module = binding()
    yield str(domain.XMLDesc(0))
    if domain.isPersistent():
        yield str(domain.XMLDesc(module.VIR_DOMAIN_XML_INACTIVE))
    if domain.hasManagedSaveImage():
        yield str(domain.managedSaveGetXMLDesc())
    for snapshot in domain.listAllSnapshots():
        yield str(snapshot.getXMLDesc())
