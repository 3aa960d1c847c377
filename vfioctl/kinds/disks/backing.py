"""What a volume lies above, down to the ground: files of the node's pools, or it is not for a guest. Changes nothing.

QEMU opens whatever an image names below it, and so does qemu-img: a server, or any file that root may read.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from vfioctl.errors import Refused, VfioctlError
from vfioctl.host import images
from vfioctl.shell import argument
from vfioctl.virt.pools import pool_links, read_pools
from vfioctl.virt.volumes import FILE, Volume, read_volume, volumes_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vfioctl.virt.connection import Connection

LONGEST_NAME = 200  # characters of a name below, as they are shown
NOTHING_CHANGED = "Nothing was changed."


def must_lie_in_pools(connection: Connection, ask: Callable[[str, Callable[[], Any]], Any], volume: Volume) -> None:
    """Raise Refused("volume.backing") where something below `volume` is missing or no file, "volume.outside" where it
    is in no pool of the node.

    The first is also for an image that keeps its data in another file, of which libvirt says nothing: seen on this host
    alone. `ask` looks at files of this host (`Host.ask`). Raises VfioctlError.
    """
    _must_have_its_data(connection, ask, volume)
    if not volume.backing:
        return
    known, seen = volumes_at(connection, ask), {volume.path}
    while (name := volume.backing) and name not in seen:
        seen.add(name)
        place = _there(connection, ask, volume)
        volume = known.get(name) or known.get(place) or _unlisted(connection, ask, volume, {name, place})
        _must_have_its_data(connection, ask, volume)


def _must_have_its_data(connection: Connection, ask: Callable[[str, Callable[[], Any]], Any], volume: Volume) -> None:
    """qemu-img would copy that file, whatever it is."""
    if connection.node.is_local and ask(volume.path, partial(_is_split, volume.path)):
        said = f"{volume.path} has its data in another file, which it names itself."
        hint = f"See which: qemu-img info -f qcow2 {argument(volume.path)}"
        raise Refused("volume.backing", said, state=NOTHING_CHANGED, hints=(hint,))


def _is_split(path: str) -> bool:
    try:
        return images.has_data_elsewhere(path)
    except OSError:
        return False  # not for us to see, or gone


def _there(connection: Connection, ask: Callable[[str, Callable[[], Any]], Any], volume: Volume) -> str:
    """The path of what lies right below, without links where it is of this host."""
    name = volume.backing
    if not name.startswith("/"):
        shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
        hint = f"Where that can be reached, make it whole: qemu-img convert -O qcow2 {argument(volume.path)} NEW"
        raise _refused(volume, shown, "which is no file of a pool", hint)
    if not connection.node.is_local:
        return name
    if not (place := str(ask(name, partial(_real, name)))):
        raise _missing(volume)
    return place


def _real(path: str) -> str:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError:
        pass  # not for us to see
    return os.path.realpath(path)


def _unlisted(
    connection: Connection, ask: Callable[[str, Callable[[], Any]], Any], above: Volume, paths: set[str]
) -> Volume:
    """What lies below `above`, in a pool that is not active or has not looked for it yet."""
    places, links = {os.path.dirname(path): path for path in paths}, pool_links(connection, ask)
    for pool in read_pools(connection):
        if path := places.get(pool.path.rstrip("/")) or places.get(links.get(pool.path, "")):
            name = os.path.basename(path)
            if not pool.is_active:
                return Volume(pool.name, name, path, FILE, "", 0, 0)
            try:
                return read_volume(connection, pool, name)
            except VfioctlError as error:
                if error.code == "volume.unknown":
                    raise _missing(above) from error
                raise
    name = above.backing
    hints = (f"Make a pool of its directory: vfioctl pool create NAME --path {argument(os.path.dirname(name))}",
             f"Or make it whole: qemu-img convert -O qcow2 {argument(above.path)} NEW")  # fmt: skip
    raise _refused(above, name, f"which is in no pool of {connection.node}", *hints, code="volume.outside")


def _missing(volume: Volume) -> Refused:
    moved = f"qemu-img rebase -u -F {volume.backing_format or 'FORMAT'} -b NEW {argument(volume.path)}"
    return _refused(volume, volume.backing, "which is not there", f"Put it back; if it was moved to NEW: {moved}")


def _refused(volume: Volume, below: str, why: str, *hints: str, code: str = "volume.backing") -> Refused:
    return Refused(code, f"{volume.path} lies above {below}, {why}.", state=NOTHING_CHANGED, hints=hints)
