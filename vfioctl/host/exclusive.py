"""Whether the kernel lets a block device be opened exclusively, and what its bytes say it is part of. Reads only.

O_EXCL without O_CREAT: "If the block device is in use by the system (e.g., mounted), open() fails with the error
EBUSY" (open(2)). That covers every mount namespace, swap, LVM, md, bcache and ZFS, and a disk one of whose partitions
is in use; not QEMU, which opens its disks as any file. Children with a deadline ask: a wedged drive may never answer.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Iterable

from vfioctl.frozen import frozen
from vfioctl.host import signatures
from vfioctl.host.blocks import Block
from vfioctl.paths import Paths
from vfioctl.proc import in_children

DEADLINE = 10.0  # a disk at rest takes so long to spin up
# What a device says that is there and in no use: nothing is in the drive, or it has gone.
EMPTY = (errno.ENOMEDIUM, errno.ENXIO, errno.ENODEV)
TIMED_OUT = errno.ETIMEDOUT
DISCS = "sr"  # drives/scsi/sr.c: O_NONBLOCK opens a drive without a disc, and each read of it fails with EIO


@frozen
class Answer:
    """What the kernel said of the device `name`: `error` is 0 when it is free, EBUSY when it is held."""

    name: str
    error: int = 0
    member_of: str = ""  # see signatures.member_of


def ask(paths: Paths, blocks: Iterable[Block]) -> tuple[Answer, ...]:
    """The answer for each of `blocks` that has a node; one child a disk, all at once, DEADLINE seconds for all."""
    disks: dict[str, list[Block]] = {}
    for block in blocks:
        if not block.hidden:
            disks.setdefault(block.disk, []).append(block)
    reports = in_children([_asking(paths, group) for group in disks.values()], deadline=DEADLINE)
    found: list[Answer] = []
    for group, report in zip(disks.values(), reports, strict=True):
        if report.stuck or report.errno:
            found += [Answer(block.name, report.errno or TIMED_OUT) for block in group]
        else:
            found += [Answer(*row) for row in json.loads(report.data)]
    return tuple(found)


def _asking(paths: Paths, group: list[Block]) -> Callable[[], bytes]:
    return lambda: json.dumps([_ask_one(paths, block) for block in group]).encode()


def _ask_one(paths: Paths, block: Block) -> tuple[str, int, str]:
    path = paths.at("dev", block.name.replace("!", "/"))  # sysfs writes so the / in cciss/c0d0
    try:
        fd, error = _open(path)
    except OSError as failed:
        return block.name, 0 if failed.errno in EMPTY else failed.errno or errno.EIO, ""
    try:
        if not _is_node_of(fd, block):
            return block.name, errno.ESTALE, ""
        return block.name, error, _member_of(fd, block)
    except OSError as failed:
        return block.name, error or (0 if failed.errno in EMPTY else failed.errno or errno.EIO), ""
    finally:
        os.close(fd)


def _member_of(fd: int, block: Block) -> str:
    """See Answer.member_of. A disc is a member of nothing, and is not read: it may be blank, damaged, or not there."""
    return "" if block.name.startswith(DISCS) else signatures.member_of(signatures.reader(fd), block.size)


def _open(path: str) -> tuple[int, int]:
    """The device opened exclusively, and 0; when it is held, as any file, to look at its bytes, and EBUSY."""
    try:
        return os.open(path, os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK | os.O_CLOEXEC), 0
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC), errno.EBUSY
        except OSError:
            raise error from None


def _is_node_of(fd: int, block: Block) -> bool:
    """Whether the node is the device that sysfs speaks of: a file left in /dev would pass for a free one."""
    status = os.fstat(fd)
    if stat.S_ISBLK(status.st_mode) and status.st_rdev != block.rdev:
        return False
    return os.lseek(fd, 0, os.SEEK_END) == block.size
