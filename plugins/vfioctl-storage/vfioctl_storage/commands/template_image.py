"""Templates of images: a file of this host, or what an address of HTTP gives. Only reads."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from vfioctl.plugin import Refused, glance, open_plain
from vfioctl_storage import image
from vfioctl_storage.commands.template_origin import Origin, must_be_no_cd
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vfioctl.plugin import Call, StepProposal
    from vfioctl_storage.commands.template_room import Room

BEGIN = 64 << 10  # bytes, in which the header of an image is
CHUNK = 1 << 20


def of_file(call: Call, file: str, wanted: str, form: str | None) -> Origin:
    """The image `file`, which is read whole. Raises Refused("volume.source", "volume.checksum")."""
    path = os.path.abspath(file)
    found = image.read(call.host(), path, form)
    must_be_no_cd(path, _begin(call, path))
    seen = _sum(call, path)
    if wanted and wanted != seen:
        said = f"{path} has the sha256 {seen}, not {wanted}."
        raise Refused("volume.checksum", said, state=NOTHING_CHANGED)

    def steps(room: Room, name: str) -> tuple[StepProposal, ...]:
        return (
            room.making("volume.create", name, f"{path} becomes it", format=found.format, size=found.size),
            room.step("volume.upload", name, f"all of {path}", source=path, size=found.length, sha256=seen),
        )

    return Origin(path, found.format, found.size, found.used, steps, seen)


def of_url(call: Call, url: str, sums: Mapping[str, str], form: str | None) -> Origin:
    """What `url` gives, of which the begin is looked at; `sums` are checksums by their kind, sha256 or sha512.

    Raises Refused("template.url", "fetch.*", "volume.source").
    """
    said = url.partition("?")[0]  # what follows may be a secret
    if url.startswith("http:") and not sums:
        hints = ("Give --sha256 from a source that you trust, or an address of https.",)
        why = "Over http anybody on the way can change what comes."
        raise Refused("template.url", why, state=NOTHING_CHANGED, hints=hints)
    seen = glance(url, BEGIN)
    found = image.announced(said, seen, form)
    must_be_no_cd(said, seen.begin)
    if seen.final != url:
        call.caller.tell(f"{said} leads to {seen.final}.")

    def steps(room: Room, name: str) -> tuple[StepProposal, ...]:
        return (
            room.making("volume.create", name, f"what {said} gives becomes it", format=found.format, size=found.size),
            room.step("volume.fetch", name, f"all of {said}", url=url, format=found.format, capacity=found.size,
                      size=found.length, **sums),
        )  # fmt: skip

    unchecked = "" if sums else url
    return Origin(said, found.format, found.size, found.used, steps, sums.get("sha256", ""), unchecked)


def _begin(call: Call, path: str) -> bytes:
    fd = open_plain(call.paths.at(path), follow=True, foreign=True)
    try:
        return os.pread(fd, BEGIN, 0)
    finally:
        os.close(fd)


def _sum(call: Call, path: str) -> str:
    """The sha256 of the file, read once."""
    found, fd = hashlib.sha256(), open_plain(call.paths.at(path), follow=True, foreign=True)
    try:
        while data := os.read(fd, CHUNK):
            found.update(data)
    finally:
        os.close(fd)
    return found.hexdigest()
