"""Mounts that name no block device: those of a ZFS pool. Reads only.

They have an anonymous number and name the pool. Its drives are held exclusively and carry its label; where no drive of
the host shows that label, each may be the one. A number that is not anonymous and that sysfs does not show is of a
drive that was pulled while it was mounted, and says nothing of those that are there.
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
    """The pools that are mounted from drives that nothing leads to, each in words; () on nearly every host."""
    pools = dict.fromkeys(mount.source.partition("/")[0] for mount in mounts.table(paths) if mount.type == ZFS)
    seen = _pools_with_a_label(paths) if pools else frozenset()
    return tuple(f"the ZFS pool {name}" for name in pools if name not in seen)


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
