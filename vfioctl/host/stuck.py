"""Devices with a kernel write that does not return: the record of it, and whether it still holds."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from vfioctl import files
from vfioctl.errors import VfioctlError, reason
from vfioctl.frozen import frozen
from vfioctl.host.processes import is_alive, start_time
from vfioctl.paths import Paths

LARGEST = 1 << 63  # of a number of the kernel's


@frozen
class StuckDevice:
    """`pid` with `start_time` (clock ticks since boot) waits in the kernel writing `value` to `path`."""

    address: str
    pid: int
    start_time: int
    path: str
    value: str


def record_stuck(paths: Paths, address: str, pid: int, path: str, value: str) -> None:
    """Keep that `pid` waits in a write on `address`. This is our own state, not the machine's."""
    started = start_time(paths, pid) or 0
    record = {"address": address, "pid": pid, "start_time": started, "path": path, "value": value}
    files.write_json(os.path.join(paths.stuck, f"{address}.json"), record)


def read_stuck(paths: Paths, address: str) -> StuckDevice | None:
    """The stuck write on `address`; None when there is none or when it has returned meanwhile.

    Raises VfioctlError("stuck.malformed"): a record that cannot be read must not pass for none. Without root it may:
    who only looks writes to no device.
    """
    path = os.path.join(paths.stuck, f"{address}.json")
    try:
        record = files.read_json(path)
        device = None if record is None else _device(record, address)
    except PermissionError:
        if os.geteuid() == 0:
            raise
        return None
    except (ValueError, TypeError) as error:
        raise VfioctlError(
            "stuck.malformed", f"The record of a hanging write on {address} is damaged ({path}): {reason(error)}.",
            hints=("It goes with the next boot; remove it when nothing hangs.",),
        ) from error  # fmt: skip
    if device is None:
        return None
    return device if is_alive(paths, device.pid, device.start_time) else None


def _device(record: object, address: str) -> StuckDevice:
    """The device that the record of `address` is about. Raises ValueError when it is not what `record_stuck` writes."""
    if not isinstance(record, dict) or record.get("address") != address:
        raise ValueError(f"it is not about {address}")
    device = StuckDevice(**record)
    if not all(type(number) is int and 0 <= number < LARGEST for number in (device.pid, device.start_time)):
        raise ValueError("it names no process")
    if not all(isinstance(text, str) for text in (device.path, device.value)):
        raise ValueError("it does not say what was written")
    return device


def drop_ended(paths: Paths, addresses: Iterable[str]) -> None:
    """Remove the records of those writes on `addresses` that have returned; the caller holds the devices' locks."""
    for address in addresses:
        with suppress(VfioctlError):  # what is damaged stays, and is told
            if read_stuck(paths, address) is None:
                files.remove(os.path.join(paths.stuck, f"{address}.json"))


def all_stuck(paths: Paths) -> tuple[StuckDevice, ...]:
    """Every device that is stuck now."""
    try:
        names = sorted(os.listdir(paths.stuck))
    except FileNotFoundError:
        return ()
    found = (read_stuck(paths, name.removesuffix(".json")) for name in names if name.endswith(".json"))
    return tuple(device for device in found if device)
