"""A block device that is to be given away or mounted: what shares its bytes, what the host does with it. Reads only.

The kernel keeps neither a mount nor QEMU, which opens its disks as any file, from what the other one has.
"""

from __future__ import annotations

import os
import stat

from vfioctl.checking import TYPE_CHECKING
from vfioctl.host import blocks, mounts
from vfioctl.host.readers import text

if TYPE_CHECKING:
    from vfioctl.host.claims import Claim
    from vfioctl.paths import Paths


def number_at(paths: Paths, path: str) -> str:
    """MAJOR:MINOR of the block device that `path` leads to; "" where none is there."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    if stat.S_ISBLK(found.st_mode):
        return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    return _named(paths, path)


def _named(paths: Paths, path: str) -> str:
    """The same by its name, where a file was left in the place of the node."""
    place = paths.at("dev")
    if not path.startswith(f"{place}/"):
        return ""
    name = os.path.realpath(path).removeprefix(f"{os.path.realpath(place)}/").replace("/", "!")
    return text(paths.at("sys/class/block", name, "dev")) or ""


def sharing(paths: Paths, number: str) -> frozenset[str]:
    """The numbers of all devices that share bytes with `number`: what it lies on, and what lies on it, itself too."""
    name = blocks.name_of(paths, number)
    every = blocks.below(paths, name) | blocks.above(paths, name) if name else ()
    return frozenset((number, *filter(None, (blocks.read(paths, one).number for one in every))))


def places(paths: Paths, number: str) -> frozenset[str]:
    """Where the device itself is mounted."""
    names = {number, blocks.name_of(paths, number)}
    return frozenset(place for device, place in mounts.used(paths) if device in names and place != mounts.SWAP)


def claims_on(paths: Paths, number: str) -> tuple[Claim, ...]:
    """What this host does with the device, its partitions, what it lies on or what lies on it: mounted, swap, held."""
    from vfioctl.host import claims

    if not (name := blocks.name_of(paths, number)):
        return ()
    every = sorted(blocks.below(paths, name) | blocks.above(paths, name))
    return claims.certain(paths, tuple(_block(paths, one, name) for one in every))


def _block(paths: Paths, name: str, about: str) -> blocks.Block:
    """`direct` is what the kernel is asked for: a whole disk is held as soon as any part of it is."""
    from vfioctl.frozen import replace

    found = blocks.read(paths, name)
    return replace(found, direct=about in (name, found.disk))
