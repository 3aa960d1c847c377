"""What of its node a guest can be given: volumes and networks by their names, and who uses them. Asks libvirt."""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from vfioctl.plugin import (
    Finding,
    Refused,
    Severity,
    argument,
    located_disks,
    must_lie_in_pools,
    open_plain,
    read_guests,
    read_network,
    read_pool,
    read_volume,
    templates_pool,
    users_of,
)
from vfioctl_guest import hotplug
from vfioctl_guest.names import NOTHING_CHANGED
from vfioctl_guest.past import real

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, Pool, Volume
    from vfioctl_guest.life import Subject

FILE, BLOCK = "file", "block"  # kinds of volumes
RAW, ISO = "raw", "iso"  # what libvirt calls the formats of volumes; of a CD, too
FORMATS = (RAW, "qcow2")  # those of a disk
MAGIC, AT = b"CD001", 0x8001  # ISO 9660: the first volume descriptor


def volume_named(call: Call, connection: Connection, word: str) -> Volume:
    """The volume that `word`, POOL/VOLUME, names, with all that lies below it in pools of its node.

    Raises Refused: "pool.*", "volume.*", "guest.volume".
    """
    pool, _, volume = word.partition("/")
    if not (pool and volume):
        look = "vfioctl pool list" + connection.node.there
        raise Refused(
            "guest.volume", f"{word!r} names no volume; expected POOL/VOLUME.", state=NOTHING_CHANGED,
            hints=(f"See what there is with: {look}",),
        )  # fmt: skip
    found = read_volume(connection, active_pool(connection, pool), volume)
    must_lie_in_pools(connection, call.host().ask, found)
    return found


def active_pool(connection: Connection, name: str) -> Pool:
    """Raises Refused("pool.unknown", "guest.pool_off", "guest.volume")."""
    pool = read_pool(connection, name)
    must_be_for_guests(pool)
    if not pool.is_active:
        raise Refused(
            "guest.pool_off", f"The pool {pool.name} is not active.", state=NOTHING_CHANGED,
            hints=(f"Start it with: vfioctl pool start {argument(pool.name)}{connection.node.there}",),
        )  # fmt: skip
    return pool


def must_be_for_guests(pool: Pool) -> None:
    """Raise Refused("guest.volume") for a pool of templates: a guest would write to what others lie above."""
    if pool.name.endswith(templates_pool("")):
        said = f"The pool {pool.name} keeps templates, and no guest is given what is in it."
        hint = "Let a disk lie above one: vfioctl volume create POOL NAME --template TEMPLATE"
        raise Refused("guest.volume", said, state=NOTHING_CHANGED, hints=(hint,))


def medium(call: Call, connection: Connection, word: str) -> hotplug.Medium:
    """The volume POOL/VOLUME as a disk. Its format is what libvirt says, never guessed.

    Raises Refused("guest.volume", "guest.iso_as_disk").
    """
    found = volume_named(call, connection, word)
    if found.kind == BLOCK:
        return hotplug.Medium(found.path, BLOCK, RAW)
    if found.format == ISO:
        raise Refused("guest.iso_as_disk", f"{found.path} is the image of a CD, not of a disk.", state=NOTHING_CHANGED,
                      hints=(f"Give it with: --iso {argument(word)}",))  # fmt: skip
    if found.format not in FORMATS:
        said = f"The volume {word} is of the format {found.format or 'nobody knows'}: expected qcow2 or raw."
        raise Refused("guest.volume", said, state=NOTHING_CHANGED)
    return hotplug.Medium(found.path, FILE, found.format)


def cd(call: Call, connection: Connection, word: str) -> hotplug.Medium:
    """The volume POOL/VOLUME as the medium of a CD drive. Raises Refused("guest.volume", "guest.iso").

    Where libvirt has not taken it for an ISO, this host looks again, if it is its own: libvirt looks at a volume when
    its pool is refreshed.
    """
    found = volume_named(call, connection, word)
    if found.kind == BLOCK:
        return hotplug.Medium(found.path, BLOCK, RAW)
    here, why = connection.node.is_local, "" if found.format == ISO else "it is no ISO 9660 image"
    if why and (why := call.host().ask(found.path, partial(no_iso, found.path)) if here else why):
        raise Refused("guest.iso", f"{found.path} cannot be a CD: {why}.", state=NOTHING_CHANGED)
    return hotplug.Medium(found.path, FILE, RAW)


def no_iso(path: str) -> str:
    """Why the file is no ISO image, "" where it is one. A pipe is not opened: nobody may ever write to it."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return "it is no regular file"
        with open(open_plain(path, follow=True), "rb") as file:
            file.seek(AT)
            return "" if file.read(len(MAGIC)) == MAGIC else "it is no ISO 9660 image"
    except OSError as error:
        return error.strerror or "it cannot be read"


def card_on(connection: Connection, network: str) -> str:
    """A network card on `network`, with a MAC that no guest of the node has. Raises Refused("network.unknown")."""
    name = read_network(connection, network).name  # it may have been asked for by its UUID
    taken = (hotplug.macs(xml) for one in read_guests(connection) for xml in (one.xml, one.live_xml) if xml)
    return hotplug.card(name, hotplug.free_mac(frozenset().union(*taken)))


def resolved(call: Call, connection: Connection, path: str) -> str:
    """The path without links, where the file is on this host."""
    return real(call.host(), path) if connection.node.is_local else path


def who_has(call: Call, connection: Connection, path: str, *, but: str = "") -> tuple[str, ...]:
    """The guests but `but` that come to the file, their snapshots and the images right above it: by device and inode
    on this host."""
    host = call.host()
    found = users_of(connection, host.ask, path, but=but, paths=host.paths)
    return (*found.guests, *found.snapshots, *found.above)


def in_use(call: Call, connection: Connection, about: Subject, device: str, *, readonly: bool) -> tuple[Finding, ...]:
    """A disk that a guest has already, or an image lies above: two that write to one file destroy it."""
    path = hotplug.path_of(device)
    documents = filter(None, (about.guest.xml, about.guest.live_xml))
    own = {one for disk in located_disks(connection, *documents) for one in (disk.source, *disk.backing)}
    if _is_among(call, connection, path, own):
        return (Finding("guest.in_use", f"Guest {about.name} has {path} already."),)
    # Its own snapshots count as well: they are to be gone back to.
    if users := tuple(one for one in who_has(call, connection, path) if one != about.name):
        severity = Severity.WARN if readonly else Severity.BLOCK
        said = f"{path} is used by {', '.join(users)}."
        return (Finding("guest.in_use", said, severity, hint="Give the guest a volume of its own."),)
    return ()


def must_differ(call: Call, connection: Connection, paths: tuple[str, ...]) -> None:
    """Raise Refused("guest.disk_in_use") where two of a guest's disks would be one file, by whichever names."""
    for count, path in enumerate(paths):
        if _is_among(call, connection, path, set(paths[:count])):
            said = f"{path} is given twice: two disks on one file destroy it."
            raise Refused("guest.disk_in_use", said, state=NOTHING_CHANGED, hints=("Give each volume once.",))


def _is_among(call: Call, connection: Connection, path: str, own: set[str]) -> bool:
    """Whether one of the guest's `own` files is the one at `path`: a file has several names."""
    if not connection.node.is_local:
        return path in own
    return bool(call.host().ask(path, lambda: any(map(partial(_is_same, path), own))))


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return one == other
