"""The images around a guest: those of its disks, what lies below, and whatever lies beside them. Reads headers only.

Images are told apart by device and inode, since one file may have several paths; each keeps the first that was asked
for. Paths are those of the host, without the root.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain

from vfioctl.plugin import TYPE_CHECKING, Host, replace
from vfioctl_snapshot.headers import Image, Internal, read
from vfioctl_snapshot.many import each

if TYPE_CHECKING:
    from typing import Any

Key = tuple[int, ...]  # of device and inode


def named(host: Host, paths: Iterable[str]) -> dict[str, Image]:
    """The images at `paths` and everything below them, by path; what is not there, or no file, is left out."""
    return of_each(host, (tuple(paths),))[0]


def of_each(host: Host, paths: Iterable[tuple[str, ...]]) -> tuple[dict[str, Image], ...]:
    """The same for each of several: all images are read together."""
    several = tuple(paths)
    found = _followed(host, chain.from_iterable(several))
    return tuple(_told_apart(_followed_in(found, some)) for some in several)


def _followed_in(found: Mapping[str, Image], paths: Iterable[str]) -> dict[str, Image]:
    """Those of `found` at `paths`, and below them."""
    own: dict[str, Image] = {}
    waiting = deque(paths)
    while waiting:
        path = waiting.popleft()
        if path in found and path not in own:
            own[path] = found[path]
            waiting.append(found[path].backing)
    return own


def _followed(host: Host, paths: Iterable[str]) -> dict[str, Image]:
    """One layer of the chains after the other."""
    found: dict[str, Image] = {}
    asked: set[str] = set()
    layer = dict.fromkeys(paths)
    while layer:
        asked.update(layer)
        seen = _images(host, layer)
        found.update(seen)
        layer = dict.fromkeys(image.backing for image in seen.values() if image.backing not in asked)
    return found


def around(host: Host, paths: Iterable[str]) -> dict[str, Image]:
    """The same, and every image in the directories of those: a clone that no guest has may need one of them."""
    found = named(host, paths)
    for directory in sorted({os.path.dirname(path) for path in found}):
        found.update(_images(host, (path for path in _listed(host, directory) if path not in found)))
    return _told_apart(found)


def _images(host: Host, paths: Iterable[str]) -> dict[str, Image]:
    return {path: _image(host, path, said) for path, said in each(host, paths, _read).items()}


def _read(place: str) -> dict[str, Any] | None:
    try:
        image = read(place)
    except OSError:
        return None
    return {**image.__dict__, "snapshots": [one.__dict__ for one in image.snapshots]}


def same(host: Host, images: Mapping[str, Image], paths: Iterable[str]) -> frozenset[str]:
    """`paths` as the images are called that they lead to."""
    known: dict[Key, str] = {(image.device, image.inode): path for path, image in images.items()}
    wanted = tuple(paths)
    keys = each(host, wanted, _key)
    return frozenset(known.get(tuple(keys.get(path, ())), path) for path in wanted)


def room(host: Host, images: Iterable[str]) -> dict[str, int]:
    """The free bytes of the directories of `images`, for root."""
    found = {}
    for directory in {os.path.dirname(path) for path in images}:
        place = host.paths.at(directory)
        found[directory] = host.ask(place, partial(_free, place))
    return found


def _free(place: str) -> int:
    status = os.statvfs(place)
    return status.f_bfree * status.f_frsize


def _key(place: str) -> list[int] | None:
    try:
        status = os.stat(place)
    except OSError:
        return None
    return [status.st_dev, status.st_ino]


def _listed(host: Host, directory: str) -> Iterator[str]:
    place = host.paths.at(directory)

    def look() -> list[str]:
        return sorted(entry.name for entry in os.scandir(place) if entry.is_file())

    try:
        names = host.ask(os.path.join(place, ""), look)
    except OSError:
        return iter(())
    return (f"{directory.rstrip('/')}/{name}" for name in names)


def _image(host: Host, path: str, said: dict[str, Any]) -> Image:
    """`said` as the host names it: absolute, and without the root."""
    backing = said["backing"].removeprefix("file:")
    if backing and not backing.startswith("/"):
        backing = os.path.join(os.path.dirname(path), backing)
    root = host.paths.root.rstrip("/")
    if root and backing.startswith(f"{root}/"):
        backing = backing.removeprefix(root)
    inside = tuple(Internal(**one) for one in said["snapshots"])
    return Image(**{**said, "path": path, "backing": os.path.normpath(backing) if backing else "", "snapshots": inside})


def _told_apart(found: Mapping[str, Image]) -> dict[str, Image]:
    """Each file once, and what lies below it called as it is called here."""
    first: dict[Key, str] = {}
    for path, image in found.items():
        first.setdefault((image.device, image.inode), path)
    names = {path: first[image.device, image.inode] for path, image in found.items()}
    return {
        path: replace(image, backing=names.get(image.backing, image.backing))
        for path, image in found.items() if names[path] == path
    }  # fmt: skip
