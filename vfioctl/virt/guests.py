"""The guests of a node as libvirt has them: state and configuration. Of XML it reads paths only; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.unknown import no_such
from vfioctl.virt.connection import binding, with_secrets
from vfioctl.virt.together import together

if TYPE_CHECKING:
    from libvirt import virConnect, virDomain

    from vfioctl.virt.connection import Connection

OFF, RUNNING, PAUSED, SAVED, CRASHED = "off", "running", "paused", "saved", "crashed"
# virDomainState (libvirt-domain.h): blocked and "in shutdown" have a QEMU that runs; pmsuspended one that sleeps.
STATES = {0: OFF, 1: RUNNING, 2: RUNNING, 3: PAUSED, 4: RUNNING, 5: OFF, 6: CRASHED, 7: PAUSED}


@frozen
class Guest:
    """A guest: `state` is off, running, paused, saved or crashed. `saved`: a managed-save image that a start takes.

    `xml` is its configuration, with what is secret in it where we may see that; `live_xml` what runs, "" while it is
    off.
    """

    uuid: str
    name: str
    state: str
    persistent: bool
    saved: bool
    xml: str
    live_xml: str = ""

    @property
    def is_off(self) -> bool:
        """Whether no QEMU has its disks, and no saved memory belongs to them."""
        return self.state == OFF


def read_guests(connection: Connection) -> tuple[Guest, ...]:
    """Every guest of the node, by name. Raises VfioctlError as `Connection.ask`."""
    return connection.ask(_all, "the list of guests")


def read_names(connection: Connection) -> tuple[str, ...]:
    """The names of every guest, sorted. Raises VfioctlError as `Connection.ask`."""
    return connection.ask(lambda libvirt: tuple(sorted(one.name() for one in libvirt.listAllDomains())), "the guests")


def read_guest(connection: Connection, word: str) -> Guest:
    """The guest that `word` names: its name or its UUID. Raises Refused("guest.unknown"), VfioctlError."""
    found = connection.ask(lambda libvirt: _named(libvirt, word), f"the guest {word}")
    if found is None:
        node = connection.node
        listed = f"The guests of {'this host' if node.is_local else node}"
        raise no_such("guest.unknown", f"There is no guest {word!r}", word, read_names(connection), listed)
    return found


def other_sources(connection: Connection, uuid: str) -> frozenset[str]:
    """Every path that another guest than `uuid` names: as it runs, is configured, was saved, or in a snapshot."""
    return connection.ask(lambda libvirt: frozenset(_sources_but(libvirt, uuid)), "what other guests use")


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


def _all(libvirt: virConnect) -> tuple[Guest, ...]:
    found = together(_read, libvirt.listAllDomains())
    return tuple(sorted((one for one in found if one), key=lambda one: one.name))


def _named(libvirt: virConnect, word: str) -> Guest | None:
    module = binding()
    for look in (libvirt.lookupByName, libvirt.lookupByUUIDString):
        try:
            return _read(look(word))
        except module.libvirtError as error:
            if error.get_error_code() not in (module.VIR_ERR_NO_DOMAIN, module.VIR_ERR_INVALID_ARG):
                raise
    return None


def _read(domain: virDomain) -> Guest | None:
    """None for one that has gone meanwhile."""
    module = binding()
    try:
        state, saved = STATES.get(domain.state()[0], OFF), bool(domain.hasManagedSaveImage())
        runs = state in (RUNNING, PAUSED)
        return Guest(
            uuid=domain.UUIDString(), name=domain.name(), state=SAVED if saved and state == OFF else state,
            persistent=bool(domain.isPersistent()), saved=saved, xml=_xml(domain, module.VIR_DOMAIN_XML_INACTIVE),
            live_xml=_xml(domain, 0) if runs else "",
        )  # fmt: skip
    except module.libvirtError as error:
        if error.get_error_code() == module.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _xml(domain: virDomain, flags: int) -> str:
    return with_secrets(domain.XMLDesc, binding().VIR_DOMAIN_XML_SECURE, flags)


def _sources_but(libvirt: virConnect, uuid: str) -> Iterator[str]:
    others = [domain for domain in libvirt.listAllDomains() if domain.UUIDString() != uuid]
    return chain.from_iterable(together(partial(_sources, libvirt), others))


def _sources(libvirt: virConnect, domain: virDomain) -> frozenset[str]:
    """Every path that the guest names; none when it has gone meanwhile."""
    module = binding()
    try:
        every = tuple(_every_xml(domain))
        return frozenset(chain(*map(paths, every), *(_volumes(libvirt, xml) for xml in every)))
    except module.libvirtError as error:
        if error.get_error_code() == module.VIR_ERR_NO_DOMAIN:
            return frozenset()
        raise VfioctlError(
            "guest.unseen", f"What {domain.name()} uses could not be seen: {error.get_error_message()}.",
        ) from error


def _volumes(libvirt: virConnect, xml: str) -> Iterator[str]:
    """The paths of the disks that are given as a volume of a pool (formatdomain, disk type volume)."""
    module = binding()
    for source in ET.fromstring(xml).iter("source"):
        pool, volume = source.get("pool", ""), source.get("volume", "")
        try:
            if pool and volume:
                yield _volume(libvirt, pool, volume)
        except module.libvirtError as error:
            if error.get_error_code() not in (module.VIR_ERR_NO_STORAGE_POOL, module.VIR_ERR_NO_STORAGE_VOL):
                raise


def _volume(libvirt: virConnect, pool: str, volume: str) -> str:
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
