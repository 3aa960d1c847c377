"""The images around a guest: those of its disks, what lies below, and whatever lies beside them. Reads headers only.

Images are told apart by device and inode, since one file may have several paths; each keeps the first that was asked
for. Paths are those of the host, without the root.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from vfioctl.plugin import TYPE_CHECKING, Host, replace
from vfioctl_snapshot.headers import Image, Internal, read

if TYPE_CHECKING:
    from typing import Any

Key = tuple[int, int]
AT_ONCE = 64  # images that one child reads: a disk that sleeps answers for so many within the deadline


def named(host: Host, paths: Iterable[str]) -> dict[str, Image]:
    """The images at `paths` and everything below them, by path; what is not there, or no file, is left out."""
    found: dict[str, Image] = {}
    waiting = list(dict.fromkeys(paths))
    while waiting:
        path = waiting.pop(0)
        if path and path not in found and (image := _asked(host, path)):
            found[path] = image
            waiting.append(image.backing)
    return _told_apart(found)


def around(host: Host, paths: Iterable[str]) -> dict[str, Image]:
    """The same, and every image in the directories of those: a clone that no guest has may need one of them."""
    found = named(host, paths)
    for directory in sorted({os.path.dirname(path) for path in found}):
        found.update(_beside(host, [path for path in _listed(host, directory) if path not in found]))
    return _told_apart(found)


def _beside(host: Host, paths: list[str]) -> Iterator[tuple[str, Image]]:
    """The images among the files `paths`: a child for many of them, since one for each would take milliseconds."""
    for first in range(0, len(paths), AT_ONCE):
        part = paths[first : first + AT_ONCE]
        places = [host.paths.at(path) for path in part]
        said = host.ask(host.reach.worst(*places), partial(_read_all, places))
        yield from ((path, _image(host, path, one)) for path, one in zip(part, said, strict=True) if one)


def _read_all(places: list[str]) -> list[dict[str, Any] | None]:
    return [_read(place) for place in places]


def _read(place: str) -> dict[str, Any] | None:
    try:
        return _plain(read(place))
    except OSError:
        return None


def same(host: Host, images: Mapping[str, Image], paths: Iterable[str]) -> frozenset[str]:
    """`paths` as the images are called that they lead to."""
    known = {(image.device, image.inode): path for path, image in images.items()}
    keys = {path: _key(host, path) for path in paths}
    return frozenset(known.get(key, path) if key else path for path, key in keys.items())


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


def _key(host: Host, path: str) -> Key | None:
    place = host.paths.at(path)

    def look() -> list[int]:
        status = os.stat(place)
        return [status.st_dev, status.st_ino]

    try:
        device, inode = host.ask(place, look)
    except OSError:
        return None
    return device, inode


def _listed(host: Host, directory: str) -> Iterator[str]:
    place = host.paths.at(directory)

    def look() -> list[str]:
        return sorted(entry.name for entry in os.scandir(place) if entry.is_file())

    try:
        names = host.ask(os.path.join(place, ""), look)
    except OSError:
        return iter(())
    return (f"{directory.rstrip('/')}/{name}" for name in names)


def _asked(host: Host, path: str) -> Image | None:
    """The image at `path`, looked at in a way that a share whose server is gone cannot hold up."""
    place = host.paths.at(path)
    try:
        said = host.ask(place, lambda: _plain(read(place)))
    except OSError:
        return None
    return _image(host, path, said)


def _plain(image: Image) -> dict[str, Any]:
    return {**image.__dict__, "snapshots": [one.__dict__ for one in image.snapshots]}


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
