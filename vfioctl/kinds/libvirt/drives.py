"""What the kinds share that give a drive to a guest or mount it for a pool: nobody else of its host writes to it.

QEMU opens its disks as any file, and so does a mount: the kernel keeps neither from the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from xml.etree import ElementTree as ET

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.pools import FILE_SYSTEM, is_here, path_of

if TYPE_CHECKING:
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json
    from vfioctl.virt.connection import Connection

CLAIMED = "disk.claimed"


def must_have_disks(machine: Machine, params: Json, disks: str, former: str = "") -> None:
    """Raise StepRefused("disk.claimed") where this host uses a block device that `disks` has and `former` has not.

    Both are the XML of a guest.
    """
    if is_here(params):
        connection = machine.libvirt(params["uri"])
        for path in sorted({*_written(connection, disks)} - {*_written(connection, former)}):
            _must_be_unused(machine, path)


def _written(connection: Connection, document: str) -> Iterator[str]:
    """The files and block devices that the guest writes to, alone; a file may be a link to a device."""
    from vfioctl.virt.uses import located_disks

    for disk in located_disks(connection, document):
        if disk.source.startswith("/") and not (disk.readonly or disk.shareable):
            yield disk.source


def must_have_source(machine: Machine, params: Json, document: str) -> None:
    """Raise StepRefused("disk.claimed") where a guest, or this host, uses the device whose file system the pool mounts.

    Where it is mounted at the pool's own place already, libvirt leaves it so.
    """
    root, place = ET.fromstring(document), path_of(document)
    if root.get("type") != FILE_SYSTEM:
        return
    for path in filter(None, (one.get("path", "") for one in root.iterfind("source/device"))):
        _must_be_nobodys(machine, params, path)
        if is_here(params):
            _must_be_unused(machine, path, place)


def _must_be_nobodys(machine: Machine, params: Json, path: str) -> None:
    from vfioctl.kinds.libvirt.volume_needs import users

    if guests := users(machine, {"uri": params["uri"]}, path).guests:
        said = f"{path} is in use by the guests that have it, or a part of it, as a disk: {', '.join(guests)}."
        raise StepRefused(CLAIMED, said, hints=("Detach it from them first, or take another device.",))


def _must_be_unused(machine: Machine, path: str, place: str = "") -> None:
    """Of what is mounted at `place` nothing is said."""
    from vfioctl.host import drives

    number = machine.reach.ask(path, partial(drives.number_at, machine.paths, path))
    if not number or place in drives.places(machine.paths, number):
        return
    if found := drives.claims_on(machine.paths, number):
        said = "; ".join(f"{one.device} is {one.what}" for one in found)
        hints = tuple(dict.fromkeys(one.help for one in found if one.help))
        raise StepRefused(CLAIMED, f"{path} is in use by this host: {said}.", hints=hints)
