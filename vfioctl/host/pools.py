"""Mounts that name no block device which sysfs knows: a ZFS pool above all. Reads only.

A pool's mounts have an anonymous number and name the pool. Its drives are held exclusively and carry its label; where
no drive of the host shows that label, each may be the one.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator

from vfioctl.host import blocks, mounts, signatures
from vfioctl.host.readers import entries, number
from vfioctl.paths import Paths
from vfioctl.proc import in_child

DEADLINE = 10.0
ZFS = "zfs"
NO_DRIVES = ("loop", "ram", "zram", "zd", "nbd", "fd", "sr")


def unplaced(paths: Paths) -> tuple[str, ...]:
    """What is mounted from drives that nothing leads to, each in words; () on nearly every host."""
    table = tuple(mounts.table(paths))
    lost = [f"{mount.source}, mounted on {mount.place}," for mount in table if _is_lost(paths, mount)]
    pools = dict.fromkeys(mount.source.partition("/")[0] for mount in table if mount.type == ZFS)
    if pools:
        seen = _pools_with_a_label(paths)
        lost += [f"the ZFS pool {name}" for name in pools if name not in seen]
    return tuple(lost)


def _is_lost(paths: Paths, mount: mounts.Mount) -> bool:
    return not mount.number.startswith("0:") and not os.path.exists(paths.at("sys/dev/block", mount.number))


def _pools_with_a_label(paths: Paths) -> frozenset[str]:
    """The pools that some drive of the host says it belongs to; none when the drives do not answer in time."""
    report = in_child(lambda: json.dumps(sorted(_labels(paths))).encode(), deadline=DEADLINE)
    return frozenset() if report.stuck or report.errno else frozenset(json.loads(report.data))


def _labels(paths: Paths) -> Iterator[str]:
    for name in entries(paths.at("sys/class/block")):
        if name.startswith(NO_DRIVES):
            continue
        size = (number(paths.at("sys/class/block", name, "size")) or 0) * blocks.SECTOR
        try:
            fd = os.open(paths.at("dev", name.replace("!", "/")), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # no node, nothing in it, or not for us to read: it shows no label
            continue
        try:
            yield signatures.zfs_pool(signatures.reader(fd), size) or ""
        except OSError as error:
            if error.errno not in (errno.EIO, errno.ENXIO, errno.ENODEV):
                raise
        finally:
            os.close(fd)
