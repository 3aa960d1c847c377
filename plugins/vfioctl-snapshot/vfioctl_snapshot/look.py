"""Reads what the plans are made from: the guest from libvirt, everything else from files. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from vfioctl.plugin import (
    Refused,
    frozen,
    guest_disks,
    guest_firmware,
    guest_hostdevs,
    guest_tpm,
    guest_tpm_state,
    other_sources,
    read_guest,
    read_guests,
    read_snapshots,
    replace,
)
from vfioctl_snapshot import images
from vfioctl_snapshot.facts import Facts, File
from vfioctl_snapshot.known import with_unwritten
from vfioctl_snapshot.names import NOTHING_CHANGED
from vfioctl_snapshot.naming import nvram_stem
from vfioctl_snapshot.record import Records, place, records

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, Guest, GuestDisk, GuestSnapshot, Host, Node
    from vfioctl_snapshot.headers import Image


def look(call: Call, word: str, node: str, *, by_libvirt: bool = False) -> Facts:
    """The guest of the name or UUID `word`, for a plan: every image around its own as well.

    `by_libvirt`: of one that runs, what libvirt says is enough. Raises NotRoot, and Refused("snapshot.elsewhere") for
    a guest of another host: its files are there.
    """
    with call.connection(node) as connection:
        found = read_guest(connection, word)
        facts = _of(call, connection.node, found, read_snapshots(connection, found.uuid))
        enough = facts.files_seen or (by_libvirt and facts.runs)
        if not enough and not connection.node.is_local:
            raise _elsewhere(word, connection.node)
        if not enough:
            call.need_root()
        others = other_sources(connection, facts.uuid)
    if not facts.files_seen:
        return replace(facts, others=others)
    host = call.host()
    kept = (path for record in facts.records.readable for path in (*record.images, *record.overlays))
    around = images.around(host, (*facts.active, *kept, *_plain(host, others)))
    return replace(
        facts, images=around, others=images.same(host, around, others), free=images.room(host, around),
        disks=tuple(_called(host, around, disk) for disk in facts.disks),
    )  # fmt: skip


def _elsewhere(word: str, where: Node) -> Refused:
    return Refused(
        "snapshot.elsewhere", f"The disks of guest {word} lie on {where}, and are changed there.",
        state=NOTHING_CHANGED, hints=(f"Run it on {where}, without --node.",),
    )  # fmt: skip


def glance(call: Call, word: str, node: str) -> Facts:
    """The same for a look: only its own images, and what lies below them; no other guest is asked about."""
    with call.connection(node) as connection:
        return glances(call, ask(connection, word))[0]


@frozen
class Listed:
    """What libvirt says of the guests of a node and of all their snapshots."""

    node: Node
    guests: tuple[Guest, ...]
    snapshots: tuple[GuestSnapshot, ...]


def ask(connection: Connection, word: str = "") -> Listed:
    """What a list is made from: of every guest of a node, or of the one that `word` names. Asks libvirt alone."""
    if not word:
        return Listed(connection.node, read_guests(connection), read_snapshots(connection))
    guest = read_guest(connection, word)
    return Listed(connection.node, (guest,), read_snapshots(connection, guest.uuid))


def ask_if_there(connection: Connection, word: str) -> Listed:
    """The same; without a guest where the node has none of that name."""
    try:
        return ask(connection, word)
    except Refused as error:
        if error.code != "guest.unknown":
            raise
        return Listed(connection.node, (), ())


def glances(call: Call, listed: Listed) -> tuple[Facts, ...]:
    """What is known of these guests for a look: of each its own images, and what lies below them."""
    return tuple(_seen(call, _of(call, listed.node, one, _of_guest(listed, one))) for one in listed.guests)


def _of_guest(listed: Listed, guest: Guest) -> tuple[GuestSnapshot, ...]:
    return tuple(one for one in listed.snapshots if one.guest == guest.uuid)


def _seen(call: Call, facts: Facts) -> Facts:
    if not facts.files_seen:
        return facts
    kept = (path for record in facts.records.readable for path in record.images)
    return replace(facts, images=images.named(call.host(), (*facts.active, *kept)))


def _of(call: Call, node: Node, found: Guest, known: tuple[GuestSnapshot, ...]) -> Facts:
    """What libvirt says of the guest, and what is written down of it here."""
    here, host = node.is_local and call.administers, call.host()
    xml = found.live_xml or found.xml
    firmware, kept = guest_firmware(xml), records(host, found.uuid) if here else Records()
    facts = Facts(
        uuid=found.uuid, name=found.name, uri=node.uri, node=node.name, state=found.state,
        xml=found.xml, disks=tuple(map(_stated, guest_disks(xml))), saved=found.saved, persistent=found.persistent,
        nvram=firmware.nvram, uefi=firmware.uefi, vtpm=guest_tpm(xml), tpm=guest_tpm_state(xml),
        hostdevs=guest_hostdevs(xml),
        strayed=_strayed(found), records=kept, files_seen=here,
        libvirt=known,
        files={file.path: file for file in _named(host, xml, found.uuid, kept)} if here else {},
    )  # fmt: skip
    return replace(facts, records=with_unwritten(facts)) if here else facts


def _strayed(found: Guest) -> frozenset[str]:
    """The disks of a running guest that its configuration lacks, or has on another image: edited, or plugged in."""
    if not (found.live_xml and found.xml):
        return frozenset()
    configured = {disk.target: disk.source for disk in guest_disks(found.xml)}
    return frozenset(disk.target for disk in guest_disks(found.live_xml) if configured.get(disk.target) != disk.source)


def _stated(disk: GuestDisk) -> GuestDisk:
    """A disk whose format nobody states is raw to libvirt."""
    return replace(disk, format=disk.format or "raw")


def _called(host: Host, found: dict[str, Image], disk: GuestDisk) -> GuestDisk:
    """The disk with its image as that is called here: a file may have several paths."""
    return replace(disk, source=next(iter(images.same(host, found, (disk.source,))))) if disk.source else disk


def _plain(host: Host, paths: Iterable[str]) -> Iterator[str]:
    """Those of `paths` that are plain files here: a device of another guest is no business of ours."""
    for path in sorted(paths):
        there = host.paths.at(path)
        if host.ask(there, partial(os.path.isfile, there)):
            yield path


def _named(host: Host, xml: str, uuid: str, kept: Records) -> Iterator[File]:
    """The NVRAM and the state of the TPM, what begins with the name of each beside it, and the records."""
    own = filter(None, (nvram_stem(guest_firmware(xml).nvram), guest_tpm_state(xml)))
    beside = (path for each in own for path in _beginning(host, each))
    written = (path for one in kept.readable for path in (one.nvram, one.tpm, place(uuid, one.name)) if path)
    yield from filter(None, (_file(host, path) for path in dict.fromkeys((*beside, *written))))


def _beginning(host: Host, path: str) -> Iterator[str]:
    directory, name = os.path.split(path)
    return (f"{directory}/{found}" for found in _listed(host, directory) if found.startswith(name))


def _listed(host: Host, directory: str) -> list[str]:
    there = host.paths.at(directory)
    try:
        return host.ask(os.path.join(there, ""), partial(os.listdir, there))
    except OSError:
        return []


def _file(host: Host, path: str) -> File | None:
    there = host.paths.at(path)
    try:
        device, inode = host.ask(there, partial(_identity, there))
    except OSError:
        return None
    return File(path, device, inode)


def _identity(path: str) -> list[int]:
    status = os.lstat(path)
    return [status.st_dev, status.st_ino]
