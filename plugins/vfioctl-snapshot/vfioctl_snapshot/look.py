"""Reads what the plans are made from: the guest from libvirt, everything else from files. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
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
from vfioctl_snapshot.many import each
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
        host, found = call.host(), read_guest(connection, word)
        facts = _of(call, host, connection.node, found, read_snapshots(connection, found.uuid))
        enough = facts.files_seen or (by_libvirt and facts.runs)
        if not enough and not connection.node.is_local:
            raise _elsewhere(word, connection.node)
        if not enough:
            call.need_root()
        others = other_sources(connection, facts.uuid)
    if not facts.files_seen:
        return replace(facts, others=others)
    (facts,) = _with_files(host, (facts,))
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
    host, known = call.host(), _by_guest(listed.snapshots)
    every = (_of(call, host, listed.node, one, known.get(one.uuid, ())) for one in listed.guests)
    return _seen(host, tuple(every))


def _by_guest(known: Iterable[GuestSnapshot]) -> dict[str, tuple[GuestSnapshot, ...]]:
    found: dict[str, list[GuestSnapshot]] = {}
    for one in known:
        found.setdefault(one.guest, []).append(one)
    return {uuid: tuple(some) for uuid, some in found.items()}


def _seen(host: Host, every: tuple[Facts, ...]) -> tuple[Facts, ...]:
    """All of them with their files and images, as far as those may be looked at."""
    wanted = (facts.mentioned if facts.files_seen else () for facts in every)
    found = images.of_each(host, wanted)
    return tuple(replace(facts, images=seen) for facts, seen in zip(_with_files(host, every), found, strict=True))


def _of(call: Call, host: Host, node: Node, found: Guest, known: tuple[GuestSnapshot, ...]) -> Facts:
    """What libvirt says of the guest, and what is written down of it here."""
    here, xml = node.is_local and call.administers, found.live_xml or found.xml
    firmware, kept = guest_firmware(xml), records(host, found.uuid) if here else Records()
    facts = Facts(
        uuid=found.uuid, name=found.name, uri=node.uri, node=node.name, state=found.state,
        xml=found.xml, disks=tuple(map(_stated, guest_disks(xml))), saved=found.saved, persistent=found.persistent,
        nvram=firmware.nvram, uefi=firmware.uefi, vtpm=guest_tpm(xml), tpm=guest_tpm_state(xml),
        hostdevs=guest_hostdevs(xml),
        strayed=_strayed(found), records=kept, files_seen=here,
        libvirt=known,
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


def _plain(host: Host, paths: Iterable[str]) -> Iterable[str]:
    """Those of `paths` that are plain files here: a device of another guest is no business of ours."""
    return each(host, sorted(paths), lambda place: os.path.isfile(place) or None)


def _with_files(host: Host, every: tuple[Facts, ...]) -> tuple[Facts, ...]:
    """All of them with their NVRAM and the state of their TPM, what begins with the name of each, and their records."""
    here = {facts.uuid: facts for facts in every if facts.files_seen}
    places = {os.path.dirname(path) for facts in here.values() for path in _own(facts)}
    beside = {directory: _listed(host, directory) for directory in sorted(places)}
    named = {uuid: tuple(_named(facts, beside)) for uuid, facts in here.items()}
    found = each(host, chain.from_iterable(named.values()), _identity)
    return tuple(
        replace(facts, files={path: File(path, *found[path]) for path in named.get(facts.uuid, ()) if path in found})
        for facts in every
    )


def _own(facts: Facts) -> Iterator[str]:
    yield from filter(None, (facts.nvram and nvram_stem(facts.nvram), facts.tpm))


def _named(facts: Facts, beside: Mapping[str, list[str]]) -> Iterator[str]:
    for path in _own(facts):
        directory, name = os.path.split(path)
        yield from (f"{directory}/{found}" for found in beside[directory] if found.startswith(name))
    for record in facts.records.readable:
        yield from filter(None, (record.nvram, record.tpm, place(facts.uuid, record.name)))


def _listed(host: Host, directory: str) -> list[str]:
    there = host.paths.at(directory)
    try:
        return host.ask(os.path.join(there, ""), partial(os.listdir, there))
    except OSError:
        return []


def _identity(path: str) -> list[int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return [status.st_dev, status.st_ino]
