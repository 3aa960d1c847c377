"""A guest that is to be deleted, with everything that belongs to it, and who else needs any of that. Reads only."""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from vfioctl.plugin import (
    every_volume,
    frozen,
    guest_disks,
    guest_firmware,
    guest_tpm,
    read_guest,
    read_pools,
    read_snapshots,
    read_summaries,
    users_of,
)
from vfioctl_guest.names import typed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vfioctl.plugin import Call, Connection, Guest, GuestDisk, Host, Volume


BLOCK = 512  # bytes, of st_blocks (stat(2))


@frozen
class Status:
    """A file of this host; `used` in bytes."""

    device: int
    inode: int
    used: int
    regular: bool


@frozen
class Disk:
    """A disk of the guest. `keep` says why it stays, "" where it goes; `needed` are those who need it.

    It is a `volume` of the pool with the UUID `pool`, or a file of this host with this `status`.
    """

    target: str
    path: str
    keep: str = ""
    needed: tuple[str, ...] = ()
    pool: str = ""
    volume: Volume | None = None
    status: Status | None = None

    @property
    def used(self) -> int:
        """The bytes that it takes."""
        return self.volume.allocation if self.volume else self.status.used if self.status else 0


@frozen
class File:
    """A file of vfioctl about the guest."""

    path: str
    what: str
    status: Status


@frozen
class Doomed:
    """`nvram` is the file, "" for none; `nvram_users` the other guests that have it; `typed` its name in a command."""

    uri: str
    node: str
    typed: str
    guest: Guest
    autostart: bool
    disks: tuple[Disk, ...]
    nvram: str
    nvram_users: tuple[str, ...]
    tpm: bool
    snapshots: tuple[str, ...]
    files: tuple[File, ...]


def look(call: Call, connection: Connection, word: str) -> Doomed:
    """The guest of the name or UUID `word`. Raises Refused("guest.unknown"), VfioctlError."""
    guest, host = read_guest(connection, word), call.host()
    nvram, here = guest_firmware(guest.xml).nvram, connection.node.is_local
    known = _Known(
        connection, host, here=here, guest=guest.uuid, pools={one.name: one.uuid for one in read_pools(connection)},
        volumes={one.path: one for one in every_volume(connection)},
    )  # fmt: skip
    return Doomed(
        uri=connection.node.uri, node=str(connection.node), guest=guest,
        typed=typed(guest.name, connection.node),
        autostart=any(one.autostart for one in read_summaries(connection) if one.uuid == guest.uuid),
        disks=tuple(_disk(disk, known) for disk in guest_disks(guest.xml) if disk.source),
        nvram=nvram, nvram_users=_users(known, nvram) if nvram else (),
        tpm=guest_tpm(guest.xml) == "emulator",
        snapshots=tuple(one.name for one in read_snapshots(connection, guest.uuid)),
        files=tuple(_files(call, host, guest)) if here else (),
    )  # fmt: skip


@frozen
class _Known:
    """What each disk is looked up in."""

    connection: Connection
    host: Host
    here: bool
    guest: str
    pools: Mapping[str, str]
    volumes: Mapping[str, Volume]


def _disk(disk: GuestDisk, known: _Known) -> Disk:
    volume = known.volumes.get(disk.source)
    status = _status(known.host, disk.source) if known.here else None
    keep = _why_kept(disk, status, volume, here=known.here)
    return Disk(
        target=disk.target, path=disk.source, keep=keep, needed=() if keep else _users(known, disk.source),
        pool=known.pools.get(volume.pool, "") if volume else "", volume=volume, status=status,
    )  # fmt: skip


def _users(known: _Known, path: str) -> tuple[str, ...]:
    found = users_of(known.connection, known.host.ask, path, but=known.guest)
    return (*found.guests, *found.above)


def _why_kept(disk: GuestDisk, found: Status | None, volume: Volume | None, *, here: bool) -> str:
    if disk.device != "disk":
        return "it is a CD or floppy"
    if disk.kind != "file":
        return "it is no file"
    if disk.readonly or disk.shareable:
        return "it is read-only" if disk.readonly else "it is for several guests"
    if volume is None and not here:
        return "it is in no pool of that node"
    if volume is None and (found is None or not found.regular):
        return "it is not there" if found is None else "it is no regular file"
    return ""


def _status(host: Host, path: str) -> Status | None:
    """None for what is not there."""
    there = host.paths.at(path)
    found = host.ask(there, partial(_numbers, there))
    return None if found is None else Status(*found)


def _numbers(path: str) -> tuple[int, int, int, bool] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_blocks * BLOCK, stat.S_ISREG(found.st_mode)


def _files(call: Call, host: Host, guest: Guest) -> Iterator[File]:
    paths = call.paths
    for path, what in ((paths.guest_config(guest.name), "its guest file"), (paths.identity(guest.uuid), "its pin")):
        if found := _status(host, path):
            yield File(path, what, found)
