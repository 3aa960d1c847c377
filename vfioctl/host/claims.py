"""Everything that claims the disks behind a PCI function, each with what would help. Reads only; see blocks.py."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

from vfioctl.frozen import frozen
from vfioctl.host import blocks, exclusive, exports, mounts, openers, pools
from vfioctl.host.blocks import Block
from vfioctl.host.readers import entries, text
from vfioctl.paths import Paths
from vfioctl.wait import Backoff

NONE: Mapping[str, int] = {}
MOST_PLACES = 3  # mount points that one sentence names
UDEV = ("(udev-worker)", "systemd-udevd", "udevd")  # how workers call themselves: systemd now, before, others
SETTLE = 3.0  # seconds
DENIED = (errno.EACCES, errno.EPERM)
UNPLACED = "on drives that nothing here names, so perhaps on these"


class Kind(Enum):
    """What sort of claim it is, from the surest to the least."""

    MOUNTED = "mounted"  # a file system or swap
    HELD = "held"  # by the kernel for something else
    OPEN = "open"  # by a process
    MEMBER = "member"  # of something that is not active
    UNKNOWN = "unknown"  # it could not be asked
    DENIED = "denied"  # it may not be asked by this user


@frozen
class Claim:
    """`device` is …: `what` ends the sentence that begins with the device's name; `help` is a sentence or ""."""

    device: str
    kind: Kind
    what: str
    help: str = ""
    passes: bool = False  # by itself, in a moment

    @property
    def is_certain(self) -> bool:
        """Whether taking the disk loses data for certain."""
        return self.kind in (Kind.MOUNTED, Kind.HELD)


def of_function(paths: Paths, address: str) -> tuple[Claim, ...]:
    """Every claim on a disk behind the function at `address`; none where it has no disk or only free ones.

    udev keeps a disk open for as long as it looks at one that has just appeared, as after a guest's return: that is
    waited for.
    """
    found = blocks.of_function(paths, address)
    claims: tuple[Claim, ...] = ()
    for _ in Backoff(SETTLE) if found else ():
        claims = of_blocks(paths, found, blocks.generic_nodes(paths, address))
        if not any(claim.passes for claim in claims):
            break
    return claims


def of_blocks(
    paths: Paths, found: tuple[Block, ...], generic: Mapping[str, int] = NONE
) -> tuple[Claim, ...]:  # fmt: skip
    """Every claim on the block devices `found`, whose generic nodes are `generic`."""
    return (*_of_kernel(paths, found), *_opened(paths, found, generic), *_unplaced(paths))


def certain(paths: Paths, found: tuple[Block, ...]) -> tuple[Claim, ...]:
    """Those claims on `found` that lose data for certain; who has a device open as any file is not looked for."""
    return tuple(claim for claim in _of_kernel(paths, found) if claim.is_certain)


def _of_kernel(paths: Paths, found: tuple[Block, ...]) -> tuple[Claim, ...]:
    """What is mounted and built on the devices, and what the kernel answers."""
    shown = (*_mounted(paths, found), *_held(paths, found))
    explained = {claim.device for claim in shown}.intersection(block.name for block in found if block.direct)
    return (*shown, *_asked(paths, found, explained))


def _mounted(paths: Paths, found: Iterable[Block]) -> Iterator[Claim]:
    names = {key: block.name for block in found for key in (block.name, block.number)}
    used: dict[str, list[str]] = {}
    for device, place in dict.fromkeys(mounts.used(paths)):
        if device in names:
            used.setdefault(names[device], []).append(place)
    for name, places in used.items():
        shown = _stacked(paths, name)
        if mounts.SWAP in places:
            yield Claim(shown, Kind.MOUNTED, "swap space", f"End it with: swapoff /dev/{name}")
        else:
            yield Claim(shown, Kind.MOUNTED, f"mounted on {_listed(places)}", "Unmount it first.")


def _listed(places: list[str]) -> str:
    more = len(places) - MOST_PLACES
    return ", ".join(places[:MOST_PLACES]) + (f" and {more} more" if more > 0 else "")


def _held(paths: Paths, found: tuple[Block, ...]) -> Iterator[Claim]:
    """What sysfs shows: who is built on a disk, file systems over several, and what opens a disk as any file."""
    names = {block.name for block in found}
    for block in found:
        if block.direct:
            for holder in entries(os.path.join(block.path, "holders")):
                yield Claim(block.name, Kind.HELD, f"part of {_stacked(paths, holder)}", _end_of(paths, holder))
    yield from _btrfs(paths, names)
    for name, export in exports.of(paths, found):
        yield Claim(name, Kind.HELD, export.what, export.help)


def _btrfs(paths: Paths, names: set[str]) -> Iterator[Claim]:
    base = paths.at("sys/fs/btrfs")
    for uuid in entries(base):
        for name in names.intersection(entries(os.path.join(base, uuid, "devices"))):
            label = text(os.path.join(base, uuid, "label")) or uuid
            yield Claim(name, Kind.HELD, f"a device of the mounted btrfs {label}", "Unmount that file system first.")


def _stacked(paths: Paths, name: str) -> str:
    """The device `name` that is built on others, with the name that people know it by."""
    mapped = text(paths.at("sys/class/block", name, "dm/name"))
    return f"{name} ({mapped})" if mapped else name


def _end_of(paths: Paths, holder: str) -> str:
    """What ends the device `holder`."""
    mapped, uuid = (text(paths.at("sys/class/block", holder, "dm", part)) or "" for part in ("name", "uuid"))
    if uuid.startswith("LVM-"):
        return f"Deactivate it with: lvchange --activate n /dev/mapper/{mapped}"
    if mapped:
        return f"Remove it with: dmsetup remove {mapped}"
    return f"Stop it with: mdadm --stop /dev/{holder}" if holder.startswith("md") else f"Stop {holder} first."


def _asked(paths: Paths, found: tuple[Block, ...], explained: set[str]) -> Iterator[Claim]:
    """What the kernel says when it is asked; that a whole disk is held says nothing new when a part of it is."""
    answers = {answer.name: answer for answer in exclusive.ask(paths, (block for block in found if block.direct))}
    disk_of = {block.name: block.disk for block in found}
    held = {name for name, answer in answers.items() if answer.error == errno.EBUSY}
    partly = {disk_of[name] for name in held | explained if disk_of[name] != name}
    for name, answer in answers.items():
        if answer.error == errno.EBUSY:
            if name not in explained and name not in partly:
                yield _busy(name, answer.member_of)
        elif answer.error:
            disk = answers.get(disk_of[name])
            if disk is answer or disk is None or disk.error != answer.error:  # else the disk's answer says it
                yield _unasked(name, answer.error)
        elif answer.member_of:
            yield Claim(name, Kind.MEMBER, f"a member of {answer.member_of}, which does not use it now")


def _busy(name: str, member_of: str) -> Claim:
    what = f"a member of {member_of} and in use" if member_of else "in use: the kernel lets nobody open it exclusively"
    remedy = "Export the pool first." if "ZFS" in member_of else f"See what is on it with: lsblk /dev/{name}"
    return Claim(name, Kind.HELD, what, remedy)


def _unasked(name: str, error: int) -> Claim:
    if error in DENIED and os.geteuid() != 0:
        return Claim(name, Kind.DENIED, "perhaps in use, which only root can find out", "Ask again as root.")
    said = "does not answer" if error == exclusive.TIMED_OUT else f"cannot be asked: {os.strerror(error)}"
    return Claim(name, Kind.UNKNOWN, f"in unknown use: it {said}", "See what the kernel says of it with: dmesg")


def _opened(paths: Paths, found: tuple[Block, ...], generic: Mapping[str, int]) -> Iterator[Claim]:
    names = {(True, block.rdev): block.name for block in found if block.rdev}
    names |= {(False, rdev): name for name, rdev in generic.items()}
    seen = openers.of_numbers(paths, names)
    for one in seen.found:
        who = f"QEMU of the guest {one.guest}" if one.guest else one.comm
        remedy = f"Shut the guest {one.guest} down first." if one.guest else "End that process first."
        what = f"open in {who} (process {one.pid})"
        yield Claim(names[one.is_block, one.rdev], Kind.OPEN, what, remedy, passes=one.comm in UDEV)
    every = ", ".join(sorted({block.disk for block in found if block.direct}))
    for unseen in seen.unseen:
        if not unseen.denied:
            yield Claim(every, Kind.UNKNOWN, f"perhaps open: {unseen.what}", "End that process first.")
    if denied := tuple(unseen.comm for unseen in seen.unseen if unseen.denied):
        yield _perhaps_opened(every, denied)


def _perhaps_opened(disks: str, unreadable: tuple[str, ...]) -> Claim:
    """Root may not look into what a security module guards: of that only a QEMU is likely to have a disk open."""
    guests = [name for name in unreadable if name.startswith("qemu")]
    if os.geteuid() == 0 and guests:
        return Claim(disks, Kind.UNKNOWN, f"perhaps open in {guests[0]}, which may not be looked into")
    what = f"perhaps open in one of {len(unreadable)} processes that may not be looked into"
    return Claim(disks, Kind.DENIED, what, "Ask again as root." if os.geteuid() else "")


def _unplaced(paths: Paths) -> Iterator[Claim]:
    kind = Kind.DENIED if os.geteuid() else Kind.UNKNOWN  # without root no label can be read
    for what in pools.unplaced(paths):
        yield Claim(what, kind, UNPLACED)
    for export in exports.unplaced(paths):
        yield Claim(f"{export.path}, {export.what},", Kind.UNKNOWN, UNPLACED, export.help)
