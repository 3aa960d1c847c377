"""A guest that is to be deleted, with everything that belongs to it, and who else needs any of that. Reads only."""

from __future__ import annotations

import os
import stat
from functools import cache, partial
from typing import TYPE_CHECKING

from vfioctl.plugin import (
    GuestDisk,
    frozen,
    guest_disks,
    guest_firmware,
    guest_tpm,
    guest_tpm_state,
    read_guest,
    read_pools,
    read_snapshots,
    read_summaries,
    replace,
    users_of,
    volumes_at,
)
from vfioctl_guest.names import below_root, typed
from vfioctl_guest.past import QCOW2, Past, backing, beside, chain, family, from_top, past, real
from vfioctl_guest.seed.mark import marked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vfioctl.plugin import Call, Connection, Guest, GuestSnapshot, Host, Volume


BLOCK = 512  # bytes, of st_blocks (stat(2))
KEPT = {
    "block": "it is a device", "network": "it is on a server", "volume": "it is named by its pool, and not by its path",
}  # fmt: skip


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

    It is a `volume` of the pool with the UUID `pool`, or a file of this host with this `status`. Of the images that
    only a `snapshot` names, each is one, too; `below` are those that it lies above, nearest first.
    Its `seed` is never kept for itself: it has who may log in.
    """

    target: str
    path: str
    keep: str = ""
    needed: tuple[str, ...] = ()
    pool: str = ""
    volume: Volume | None = None
    status: Status | None = None
    snapshot: str = ""
    below: tuple[str, ...] = ()
    seed: bool = False

    @property
    def called(self) -> str:
        """The disk in a sentence."""
        if self.seed:
            return f"{self.target}, its seed"
        return f"{self.target} of snapshot {self.snapshot!r}" if self.snapshot else self.target

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
    """`nvram` is the file, "" for none; `nvram_users` the other guests that have it; `typed` its name in a command.

    `disks` has the images of its snapshots, too: an image comes before what lies below it. `snapshots` are those that
    libvirt knows, `past` what belongs to them and to those that are only written down.
    """

    uri: str
    node: str
    typed: str
    guest: Guest
    autostart: bool
    disks: tuple[Disk, ...]
    nvram: str
    nvram_users: tuple[str, ...]
    tpm: bool
    snapshots: tuple[GuestSnapshot, ...]
    past: Past
    here: bool
    files: tuple[File, ...]


def look(call: Call, connection: Connection, word: str) -> Doomed:
    """The guest of the name or UUID `word`. Raises Refused("guest.unknown"), VfioctlError."""
    guest, host = read_guest(connection, word), call.host()
    nvram, here = guest_firmware(guest.xml).nvram, connection.node.is_local
    seed = marked(guest.xml)
    known = _Known(
        connection, host, here=here, guest=guest.uuid, seed=seed.file if seed else "",
        pools={one.name: one.uuid for one in read_pools(connection)},
        volumes=volumes_at(connection, host.ask),
    )  # fmt: skip
    snapshots = read_snapshots(connection, guest.uuid)
    unseen = Past(tuple(one.name for one in snapshots))
    kept = past(host, guest.uuid, snapshots) if here and call.administers else unseen
    users = _users(known, nvram) if nvram else ()
    if here and call.administers:
        kept = replace(kept, copies={**dict(_copies(known, guest, "" if users else nvram)), **kept.copies})
    return Doomed(
        uri=connection.node.uri, node=str(connection.node), guest=guest,
        typed=typed(guest.name, connection.node), here=here,
        autostart=any(one.autostart for one in read_summaries(connection) if one.uuid == guest.uuid),
        disks=_disks(known, guest, kept), snapshots=snapshots, past=kept,
        nvram=nvram, nvram_users=users,
        tpm=guest_tpm(guest.xml) == "emulator",
        files=tuple(_files(call, host, guest, kept)) if here else (),
    )  # fmt: skip


@frozen
class _Known:
    """What each disk is looked up in."""

    connection: Connection
    host: Host
    here: bool
    guest: str
    seed: str
    pools: Mapping[str, str]
    volumes: Mapping[str, Volume]


def _disks(known: _Known, guest: Guest, kept: Past) -> tuple[Disk, ...]:
    """Those of its configuration and of its snapshots, with who else needs each: what goes with it needs none."""
    own = {
        real(known.host, disk.source) if known.here else disk.source: disk for disk in guest_disks(guest.xml)
        if disk.source
    }  # fmt: skip
    layers = {
        path: GuestDisk(layer.target, path, layer.format) for path, layer in kept.layers.items()
        if path not in own and _status(known.host, path)
    }  # fmt: skip
    every = {**layers, **own}
    forms = {path: disk.format for path, disk in every.items()}
    below = cache(lambda path: backing(known.host, path, forms.get(path, QCOW2)) if known.here else "")
    going = {path for path, disk in own.items() if not _why_kept(disk, known)}
    related = family(going, layers, below)
    return tuple(
        _disk(every[path], known, _Place(
            strange=path in layers and path not in related, family=frozenset(going | related), below=chain(path, below),
            snapshot=kept.layers[path].snapshot if path in layers else "",
        )) for path in from_top(every, below)
    )  # fmt: skip


@frozen
class _Place:
    """Where an image stands among those of its guest; `strange`: it is of a disk that the guest has no more."""

    strange: bool
    family: frozenset[str]
    below: tuple[str, ...]
    snapshot: str


def _disk(disk: GuestDisk, known: _Known, place: _Place) -> Disk:
    volume, seed = known.volumes.get(disk.source), disk.source == known.seed
    keep = "it is of a disk that the guest has no more" if place.strange else _why_kept(disk, known)
    needed = () if keep else tuple(one for one in _users(known, disk.source) if one not in place.family)
    if seed and needed:
        keep, needed = f"{', '.join(needed)} has it, too", ()
    return Disk(
        target=disk.target, path=disk.source, keep=keep, needed=needed, seed=seed,
        pool=known.pools.get(volume.pool, "") if volume else "", volume=volume,
        status=_status(known.host, disk.source) if known.here else None, snapshot=place.snapshot, below=place.below,
    )  # fmt: skip


def _copies(known: _Known, guest: Guest, nvram: str) -> Iterator[tuple[str, str]]:
    """What snapshots inside its images have kept of NVRAM and TPM, unless another guest has it by now."""
    state = guest_tpm_state(guest.xml)
    found = {**(beside(known.host, nvram, "a copy of its NVRAM") if nvram else {}),
             **(beside(known.host, state, "a copy of its TPM's state") if state else {})}  # fmt: skip
    yield from ((path, what) for path, what in found.items() if not _users(known, path))


def _users(known: _Known, path: str) -> tuple[str, ...]:
    found = users_of(known.connection, known.host.ask, path, but=known.guest, paths=known.host.paths)
    above = (real(known.host, one) if known.here else one for one in found.above)
    return (*found.guests, *found.snapshots, *above)


def _why_kept(disk: GuestDisk, known: _Known) -> str:
    if disk.device != "disk":
        return "it is a CD or floppy"
    if disk.kind != "file":
        return KEPT.get(disk.kind, "it is no file")
    if disk.source != known.seed and (disk.readonly or disk.shareable):
        return "it is read-only" if disk.readonly else "it is for several guests"
    if disk.source in known.volumes:
        return ""
    if not known.here:
        return "it is in no pool of that node"
    found = _status(known.host, disk.source)
    if found is None or not found.regular:
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


def _files(call: Call, host: Host, guest: Guest, kept: Past) -> Iterator[File]:
    """Its guest file and its pin; of its snapshots the copies first, so that what fails on the way stays written."""
    paths = call.paths
    own = {
        paths.guest_config(guest.name): "its guest file", paths.identity(guest.uuid): "its pin",
        paths.before_enable(guest.uuid): "how it was before vfioctl managed it",
        paths.definition(guest.uuid): "its former definition", paths.last(guest.name): "its last outcome",
    }  # fmt: skip
    ours = {below_root(call, path): what for path, what in own.items()}
    nvram = guest_firmware(guest.xml).nvram
    for path, what in {**ours, **kept.copies}.items():
        if path != nvram and (found := _status(host, path)):
            yield File(path, what, found)
