"""The storage pools of a node as libvirt has them: state, place, room. Reads no file; changes nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.unknown import no_such
from vfioctl.virt.connection import binding
from vfioctl.virt.together import together

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from libvirt import virConnect, virStoragePool

    from vfioctl.virt.connection import Connection

INACTIVE, BUILDING, ACTIVE, DEGRADED, INACCESSIBLE = "inactive", "building", "active", "degraded", "inaccessible"
STATES = (INACTIVE, BUILDING, ACTIVE, DEGRADED, INACCESSIBLE)  # virStoragePoolState (libvirt-storage.h)
OF_FILES = ("dir", "fs", "netfs")  # the kinds of pools whose volumes are files


@frozen
class Pool:
    """A storage pool: `kind` is dir, fs, logical, netfs …; `path` where its volumes are, `source` what that is from.

    `capacity`, `allocation` and `available` are bytes as of its last refresh; they and `volumes` are 0 while it is
    not active. `xml` is what libvirt works with now.
    """

    uuid: str
    name: str
    kind: str
    state: str
    persistent: bool
    autostart: bool
    path: str
    source: str
    capacity: int
    allocation: int
    available: int
    volumes: int
    xml: str

    @property
    def is_active(self) -> bool:
        """Whether libvirt works with its volumes."""
        return self.state in (ACTIVE, DEGRADED)

    @property
    def has_files(self) -> bool:
        """Whether its volumes are files."""
        return self.kind in OF_FILES

    @property
    def is_in_place(self) -> bool:
        """Whether its files are there whether or not it is active: nothing is mounted for it."""
        return self.kind == "dir"


def read_pools(connection: Connection) -> tuple[Pool, ...]:
    """Every pool of the node, by name. Raises VfioctlError as `Connection.ask`."""
    return connection.ask(_all, "the list of pools")


def place_of(connection: Connection, ask: Callable[[str, Callable[[], Any]], Any], pool: Pool) -> str:
    """Where the volumes of `pool` are, without links on this host: guests are given the files as they are.

    `ask` looks at files of this host (`Host.ask`). Raises Refused("path.unanswered").
    """
    if not pool.path or not connection.node.is_local:
        return pool.path
    return str(ask(pool.path, partial(os.path.realpath, pool.path)))


def pool_links(connection: Connection, ask: Callable[[str, Callable[[], Any]], Any]) -> dict[str, str]:
    """Where the directories of pools lie that are named through links; one that does not answer is as libvirt has it.

    Raises VfioctlError as `Connection.ask`.
    """
    found: dict[str, str] = {}
    for pool in read_pools(connection):
        with suppress(VfioctlError):  # it is on a share whose server is gone
            found[pool.path] = place_of(connection, ask, pool)
    return {path: place for path, place in found.items() if place != path}


def read_pool(connection: Connection, word: str) -> Pool:
    """The pool that `word` names: its name or its UUID. Raises Refused("pool.unknown"), VfioctlError."""
    found = connection.ask(lambda libvirt: _named(libvirt, word), f"the pool {word}")
    if found is None:
        node = connection.node
        names = [one.name for one in read_pools(connection)]
        listed = f"The pools of {'this host' if node.is_local else node}"
        raise no_such("pool.unknown", f"There is no pool {word!r}", word, names, listed)
    return found


def has_pools_of(connection: Connection, kind: str) -> bool:
    """Whether libvirt on the node has what pools of that `kind` need. Raises VfioctlError as `Connection.ask`.

    Debian 13 has that for each kind but dir, fs and netfs in a package of its own. A driver that does not say has it.
    """
    return connection.ask(lambda libvirt: _has_backend(libvirt, kind), "its kinds of pools")


def _has_backend(libvirt: virConnect, kind: str) -> bool:
    module = binding()
    try:
        root = ET.fromstring(libvirt.getStoragePoolCapabilities())
    except module.libvirtError as error:
        if error.get_error_code() == module.VIR_ERR_NO_SUPPORT:
            return True
        raise
    return any((one.get("type"), one.get("supported")) == (kind, "yes") for one in root.iterfind("pool"))


def _all(libvirt: virConnect) -> tuple[Pool, ...]:
    found = together(_read, libvirt.listAllStoragePools())
    return tuple(sorted((one for one in found if one), key=lambda one: one.name))


def _named(libvirt: virConnect, word: str) -> Pool | None:
    module = binding()
    for look in (libvirt.storagePoolLookupByName, libvirt.storagePoolLookupByUUIDString):
        try:
            return _read(look(word))
        except module.libvirtError as error:
            if error.get_error_code() not in (module.VIR_ERR_NO_STORAGE_POOL, module.VIR_ERR_INVALID_ARG):
                raise
    return None


def _read(pool: virStoragePool) -> Pool | None:
    """None for one that has gone meanwhile."""
    module = binding()
    try:
        state, capacity, allocation, available = pool.info()
        root = ET.fromstring(xml := pool.XMLDesc(0))
        return Pool(
            uuid=pool.UUIDString(), name=pool.name(), kind=root.get("type", ""),
            state=STATES[state] if state < len(STATES) else INACCESSIBLE, persistent=bool(pool.isPersistent()),
            autostart=bool(pool.autostart()), path=root.findtext("target/path", ""), source=_source(root),
            capacity=capacity, allocation=allocation, available=available,
            volumes=pool.numOfVolumes() if pool.isActive() else 0, xml=xml,
        )  # fmt: skip
    except module.libvirtError as error:
        if error.get_error_code() == module.VIR_ERR_NO_STORAGE_POOL:
            return None
        raise


def _source(root: ET.Element) -> str:
    """What the pool is from, in one word: a device, HOST:DIRECTORY, the name of a volume group."""
    source = root.find("source")
    if source is None:
        return ""
    host, device, directory = source.find("host"), source.find("device"), source.find("dir")
    found = next((one.get("path", "") for one in (device, directory) if one is not None), source.findtext("name", ""))
    return f"{host.get('name', '')}:{found}" if host is not None else found
