"""What of its node a guest can be given: volumes and networks by their names, and who uses them. Asks libvirt."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from vfioctl.plugin import (
    Finding,
    Refused,
    Severity,
    argument,
    guest_disks,
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

FORMATS = {"raw": "raw", "qcow2": "qcow2", "iso": "raw"}  # what libvirt says of a volume, and how QEMU opens it


def volume_named(connection: Connection, word: str) -> Volume:
    """The volume that `word`, POOL/VOLUME, names. Raises Refused: "pool.*", "volume.*", "guest.volume"."""
    pool, _, volume = word.partition("/")
    if not (pool and volume):
        raise Refused(
            "guest.volume", f"{word!r} names no volume; expected POOL/VOLUME.", state=NOTHING_CHANGED,
            hints=("See what there is with: vfioctl pool list",),
        )  # fmt: skip
    return read_volume(connection, active_pool(connection, pool), volume)


def active_pool(connection: Connection, name: str) -> Pool:
    """Raises Refused("pool.unknown", "guest.pool_off", "guest.volume")."""
    pool = read_pool(connection, name)
    must_be_for_guests(pool)
    if not pool.is_active:
        raise Refused(
            "guest.pool_off", f"The pool {pool.name} is not active.", state=NOTHING_CHANGED,
            hints=(f"Start it with: vfioctl pool start {argument(pool.name)}",),
        )  # fmt: skip
    return pool


def must_be_for_guests(pool: Pool) -> None:
    """Raise Refused("guest.volume") for a pool of templates: a guest would write to what others lie above."""
    if pool.name.endswith(templates_pool("")):
        said = f"The pool {pool.name} keeps templates, and no guest is given what is in it."
        hint = "Let a disk lie above one: vfioctl volume create POOL NAME --template TEMPLATE"
        raise Refused("guest.volume", said, state=NOTHING_CHANGED, hints=(hint,))


def medium(connection: Connection, word: str) -> hotplug.Medium:
    """The volume POOL/VOLUME. Its format is what libvirt says, never guessed: Refused("guest.volume")."""
    found = volume_named(connection, word)
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
    own = {one for xml in documents for disk in guest_disks(xml) for one in (disk.source, *disk.backing)}
    if _is_among(call, connection, path, own):
        return (Finding("guest.in_use", f"Guest {about.name} has {path} already."),)
    others, host = who_has(call, connection, path, but=about.guest.uuid), call.host()
    kept = users_of(connection, host.ask, path, paths=host.paths).snapshots  # its own are to be gone back to as well
    if users := tuple(dict.fromkeys((*others, *kept))):
        severity = Severity.WARN if readonly else Severity.BLOCK
        said = f"{path} is used by {', '.join(users)}."
        return (Finding("guest.in_use", said, severity, hint="Give the guest a volume of its own."),)
    return ()


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
