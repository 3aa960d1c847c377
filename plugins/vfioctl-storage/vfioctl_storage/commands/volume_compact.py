"""`vfioctl volume compact`: a volume gives back what it takes and does not use. Its guests see the same."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Refused, Result, argument, as_size, changing, frozen, pool_names
from vfioctl_storage.commands.volume_copy import must_be_an_image
from vfioctl_storage.commands.volume_work import about, row, step, subject, writable_pool
from vfioctl_storage.commands.work import Wish, perform
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import Call, Host, Node
    from vfioctl_storage.commands.volume_work import Subject

BLOCK = 512  # bytes, of st_blocks
CHECK = 600.0  # seconds for qemu-img to look at the tables of a large image
LOOK = 10.0
DAMAGED = 2  # the status of `qemu-img check` for an image with errors; of leaked clusters alone, 3, nothing is lost
TABLES = 16  # bytes that the tables of a cluster take at most: an entry of 8 or 16, and a count of 8
LEAST = 1 << 20  # bytes of headers and tables of an image that holds nothing


@click.command()
@click.argument("pool", shell_complete=pool_names)
@click.argument("name")
@changing
@click.pass_obj
def compact(call: Call, pool: str, name: str, node: str, *, dry_run: bool) -> Result:
    """Write the qcow2 volume NAME of POOL anew, without the room that it takes and does not use.

    That is what guests have discarded, and what they have filled with zeros. The new file is compared with the old one
    before it takes its place, with the same options, owner, permissions and labels; until then both need room.
    Refused while a guest that comes to it runs or is saved, through images above it too, and where it has snapshots
    inside. Images that lie above it stay as they are. Its file must be on this host.
    """
    with writable_pool(call, pool, node) as (connection, place):
        _must_be_here(connection.node, place.name, name)
        call.need_root()
        subj = subject(call, connection, place, name)
    _must_be_at_rest(subj)
    path = subj.volume.path
    found = _looked_at(call.host(), path)
    _must_have_room(found, path)
    change = step(
        "volume.compact", subj.node, place, name,
        f"about {as_size(found.gain)} of {as_size(found.used)}, and what is filled with zeros", path=path,
        device=found.device, inode=found.inode, domains=list(subj.domains),
    )  # fmt: skip
    shown: dict[str, Any] = {**row(subj.node, subj.volume), "former": found.used, "estimate": found.gain, "freed": 0}
    result = perform(call, Wish("volume compact", about(subj.node, place, name), (change,)), dry_run=dry_run,
                     volume=shown)  # fmt: skip
    return result if dry_run or result.exit_status else _said(call.host(), path, result)


def _said(host: Host, path: str, result: Result) -> Result:
    """The result with what has come back."""
    from vfioctl.plugin import replace

    place, shown = host.paths.at(path), result.data["volume"]
    used = host.ask(place, lambda: os.stat(place).st_blocks * BLOCK)
    volume = {**shown, "allocation": used, "freed": max(0, shown["former"] - used)}
    return replace(result, data={**result.data, "volume": volume})


def _must_be_here(node: Node, pool: str, name: str) -> None:
    if not node.is_local:
        said = f"The file of the volume {name} in pool {pool} lies on {node}, and is written anew there."
        raise Refused(
            "volume.elsewhere", said, state=NOTHING_CHANGED, hints=(f"Run it on {node}, without --node.",)
        )


def _must_be_at_rest(subj: Subject) -> None:
    volume = subj.volume
    if volume.format != "qcow2":
        said = f"The volume {volume.name} is {volume.format or volume.kind}, and only qcow2 is written anew."
        hint = f"Where a raw one is filled with zeros: fallocate --dig-holes {argument(volume.path)}"
        raise Refused("volume.format", said, state=NOTHING_CHANGED, hints=(hint,) if volume.format == "raw" else ())
    must_be_an_image(subj)
    if subj.users.running:
        there = subj.node.there
        raise Refused(
            "volume.busy", f"Running guests have the volume {volume.name}: {', '.join(subj.users.running)}.",
            state=NOTHING_CHANGED,
            hints=tuple(f"Shut it down: vfioctl guest stop {argument(one)}{there}" for one in subj.users.running),
        )  # fmt: skip
    if subj.users.saved:
        said = f"The volume {volume.name} belongs to the saved state of {', '.join(subj.users.saved)}."
        raise Refused("domain.saved", said, state=NOTHING_CHANGED, hints=("Start it and shut it down first.",))


@frozen
class Looked:
    """The file of a volume: `used` are the bytes that it takes, `needed` those of an image with the same in it."""

    device: int
    inode: int
    used: int
    needed: int
    free: int

    @property
    def gain(self) -> int:
        """How many bytes come back at least, as the tables of the image say."""
        return max(0, self.used - self.needed)


def _looked_at(host: Host, path: str) -> Looked:
    """What compacting it would need and give. Raises Refused("disk.unsupported", "volume.unknown")."""
    place = host.paths.at(path)
    try:
        device, inode, blocks, free = host.ask(place, lambda: _measured(place))
    except OSError as error:
        said = f"{path} cannot be looked at: {error.strerror}."
        raise Refused("disk.unreadable", said, state=NOTHING_CHANGED) from error
    clusters, cluster = _clusters(host, place)
    return Looked(device, inode, blocks * BLOCK, clusters * (cluster + TABLES) + LEAST, free)


def _measured(path: str) -> list[int]:
    found, space = os.stat(path), os.statvfs(os.path.dirname(path))
    return [found.st_dev, found.st_ino, found.st_blocks, space.f_bfree * space.f_frsize]


def _clusters(host: Host, path: str) -> tuple[int, int]:
    """How many clusters of the image hold something, and their size in bytes."""
    info = host.shown(("qemu-img", "info", "-U", "--output=json", "-f", "qcow2", "--", path), deadline=LOOK)
    checked = host.shown(
        ("qemu-img", "check", "-U", "--output=json", "-f", "qcow2", "--", path), deadline=CHECK
    )
    if checked.returncode == DAMAGED:
        said, hint = f"{path} is not compacted: it is damaged.", f"See: qemu-img check {argument(path)}"
        raise Refused("disk.unsupported", said, state=NOTHING_CHANGED, hints=(hint,))
    try:
        counted = json.loads(checked.stdout)
        # qemu-img leaves "allocated-clusters" out of an image without any.
        used = counted.get("allocated-clusters", 0) if counted["total-clusters"] else 0
        return int(used), int(json.loads(info.stdout)["cluster-size"])
    except (ValueError, KeyError, TypeError) as error:
        why = next((one.why() for one in (info, checked) if one.returncode), "what qemu-img says is not understood")
        raise Refused("disk.unreadable", f"{path} cannot be looked at: {why}.", state=NOTHING_CHANGED) from error


def _must_have_room(found: Looked, path: str) -> None:
    if found.free < found.needed:
        said = (f"{os.path.dirname(path)} has {as_size(found.free)} left; until {path} is replaced, up to "
                f"{as_size(found.needed)} more are needed.")  # fmt: skip
        raise Refused("disk.no_room", said, state=NOTHING_CHANGED, hints=("Make room first.",))
