"""The volumes of a pool as libvirt has them: format, sizes, what lies below. Opens no file; changes nothing.

libvirt lists what was there at the last refresh of the pool. A volume that is missed is looked for once more after one.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.frozen import frozen
from vfioctl.unknown import no_such
from vfioctl.virt.connection import binding
from vfioctl.virt.pools import pool_links
from vfioctl.virt.together import together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from libvirt import virConnect, virStoragePool, virStorageVol

    from vfioctl.virt.connection import Connection
    from vfioctl.virt.pools import Pool

FILE, BLOCK = "file", "block"  # kinds of virStorageVolType (libvirt-storage.h), as its XML has them
RAW = "raw"


@frozen
class Volume:
    """A volume: `capacity` is what a guest sees, `allocation` what it takes, in bytes; `kind` is file, block, dir ….

    `format` is what libvirt has found in it, "raw" for a device, "" for what else has none. `backing` is the path of
    what lies below, with `backing_format`; "" for nothing. `changed` is when it was last written to, in seconds, 0.0
    where libvirt does not say.
    """

    pool: str
    name: str
    path: str
    kind: str
    format: str
    capacity: int
    allocation: int
    backing: str = ""
    backing_format: str = ""
    changed: float = 0.0


def read_volumes(connection: Connection, pool: Pool) -> tuple[Volume, ...]:
    """Every volume of `pool`, by name; none of one that is not active. Raises VfioctlError as `Connection.ask`."""
    return connection.ask(lambda libvirt: volumes_in(_pool(libvirt, pool.uuid)), f"the volumes of {pool.name}")


def read_volume(connection: Connection, pool: Pool, name: str) -> Volume:
    """The volume `name` of `pool`, which is active. Raises Refused("volume.unknown"), VfioctlError."""
    found = connection.ask(lambda libvirt: _named(_pool(libvirt, pool.uuid), name), f"the volume {name}")
    if found is None:
        names = [one.name for one in read_volumes(connection, pool)]
        message = f"There is no volume {name!r} in pool {pool.name}"
        raise no_such("volume.unknown", message, name, names, f"The volumes of {pool.name}")
    return found


def every_volume(connection: Connection, paths: Iterable[str] = ()) -> tuple[Volume, ...]:
    """Those of every active pool of the node. Raises VfioctlError as `Connection.ask`.

    Where one of `paths` is missed, the pool that its directory is of is refreshed first: what makes a file there, such
    as a snapshot, makes it no volume.
    """

    def read(libvirt: virConnect) -> tuple[Volume, ...]:
        module = binding()
        pools = libvirt.listAllStoragePools(module.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
        return tuple(volume for pool in pools for volume in _with(pool, wanted))

    wanted = tuple(paths)
    return connection.ask(read, "the volumes of every pool")


def volumes_at(
    connection: Connection, ask: Callable[[str, Callable[[], Any]], Any], paths: Iterable[str] = ()
) -> dict[str, Volume]:
    """Those of `every_volume` by their paths; on this host also by those without a link to the directory of the pool.

    Guests have the latter: AppArmor judges the file. `ask` looks at files of this host (`Host.ask`).
    """
    links = pool_links(connection, ask)
    places = {real: link for link, real in links.items()}
    volumes = every_volume(connection, (_moved(path, places) for path in paths))
    return {**{_moved(one.path, links): one for one in volumes}, **{one.path: one for one in volumes}}


def _moved(path: str, to: Mapping[str, str]) -> str:
    directory, name = os.path.split(path)
    return os.path.join(to.get(directory, directory), name)


def volumes_in(pool: virStoragePool) -> tuple[Volume, ...]:
    """Those of libvirt's `pool`, by name; none of one that is not active. Raises libvirtError."""
    if not pool.isActive():
        return ()
    found = together(partial(_read, pool.name()), pool.listAllVolumes())
    return tuple(sorted((one for one in found if one), key=lambda one: one.name))


def _with(pool: virStoragePool, wanted: tuple[str, ...]) -> tuple[Volume, ...]:
    """All volumes of the pool, also those of the paths `wanted` that came after its last refresh."""
    found = volumes_in(pool)
    missed = {os.path.dirname(path) for path in {*wanted} - {one.path for one in found}}
    if missed and ET.fromstring(pool.XMLDesc(0)).findtext("target/path", "") in missed:
        pool.refresh(0)
        return volumes_in(pool)
    return found


def described(pool: str, volume: virStorageVol) -> Volume:
    """The volume of libvirt's `volume`. Raises libvirtError."""
    root = ET.fromstring(volume.XMLDesc(0))
    below = root.find("backingStore/format")
    return Volume(
        pool=pool, name=root.findtext("name", ""), path=root.findtext("target/path", ""), kind=_kind(root),
        format=_format(root), capacity=int(root.findtext("capacity", "0")),
        allocation=int(root.findtext("allocation", "0")), backing=root.findtext("backingStore/path", ""),
        backing_format=below.get("type", "") if below is not None else "",
        changed=float(root.findtext("target/timestamps/mtime", "0")),
    )  # fmt: skip


def _kind(root: ET.Element) -> str:
    return root.get("type", FILE)


def _format(root: ET.Element) -> str:
    """What is in a device libvirt neither looks for nor says: to a guest it is raw."""
    if (form := root.find("target/format")) is not None:
        return form.get("type", "")
    return RAW if _kind(root) == BLOCK else ""


def _pool(libvirt: virConnect, uuid: str) -> virStoragePool:
    return libvirt.storagePoolLookupByUUIDString(uuid)


def _named(pool: virStoragePool, name: str) -> Volume | None:
    """Looked for twice: a file that somebody has put there is a volume only after a refresh."""
    found = _looked_up(pool, name)
    if found is None:
        pool.refresh(0)
        found = _looked_up(pool, name)
    return found


def _looked_up(pool: virStoragePool, name: str) -> Volume | None:
    module = binding()
    try:
        return _read(pool.name(), pool.storageVolLookupByName(name))
    except module.libvirtError as error:
        if error.get_error_code() == module.VIR_ERR_NO_STORAGE_VOL:
            return None
        raise


def _read(pool: str, volume: virStorageVol) -> Volume | None:
    """None for one that has gone meanwhile."""
    module = binding()
    try:
        return described(pool, volume)
    except module.libvirtError as error:
        if error.get_error_code() == module.VIR_ERR_NO_STORAGE_VOL:
            return None
        raise
