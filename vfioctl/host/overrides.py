"""driver_override of many devices, by one detached reader child with a deadline. Never writes.

That read takes the device lock: while someone's unbind hangs, it hangs too, and SIGKILL does not end it.
"""

from __future__ import annotations

import errno
import os

from vfioctl.host.readers import raw
from vfioctl.paths import Paths
from vfioctl.proc import in_child

DEADLINE = 2.0  # takes microseconds, or for ever; a busy machine must not look like a stuck one
MOST_STUCK = 3  # hung readers that one look leaves behind at most; further devices count as stuck unread
NONE = "(null)"
CHUNK = 65536


def read_overrides(
    paths: Paths, addresses: tuple[str, ...], deadline: float = DEADLINE
) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """driver_override of each of `addresses`, and those whose read does not return in `deadline` seconds."""
    known: dict[str, str | None] = {}
    stuck: list[str] = []
    left = list(addresses)
    while left and len(stuck) < MOST_STUCK:
        known.update(_read_in_child(paths, tuple(left), deadline))
        left = [address for address in left if address not in known]
        if left:
            stuck.append(left.pop(0))
    return known, (*stuck, *left)


def _read_in_child(paths: Paths, addresses: tuple[str, ...], deadline: float) -> dict[str, str | None]:
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def work() -> bytes:
        for address in addresses:
            value = (raw(paths.pci(address, "driver_override")) or b"").strip()
            os.write(writing, address.encode() + b" " + value + b"\n")
        return b""

    try:
        in_child(work, deadline=deadline, keep_fds=(writing,))
        return _parse(_drain(reading))
    finally:
        os.close(reading)
        os.close(writing)


def _drain(fd: int) -> bytes:
    data = b""
    try:
        while chunk := os.read(fd, CHUNK):
            data += chunk
    except OSError as error:
        if error.errno != errno.EAGAIN:
            raise
    return data


def _parse(data: bytes) -> dict[str, str | None]:
    """A torn last line does not count: its device is the one whose read hangs."""
    rows = (line.decode("utf-8", "replace").partition(" ") for line in data.split(b"\n")[:-1])
    return {address: (None if value in ("", NONE) else value) for address, _, value in rows}
