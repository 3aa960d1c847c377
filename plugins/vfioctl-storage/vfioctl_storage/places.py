"""Which directories are no place for a pool, since files of others are in them. Only reads.

Everything in the directory of a pool is a volume, which one command removes.
"""

from __future__ import annotations

import os
import stat
from itertools import islice
from typing import TYPE_CHECKING

from vfioctl.plugin import Refused, argument
from vfioctl_storage.image import begins_as_image
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.plugin import Host

# Images, and what lies beside them: firmware, descriptions of guests, checksums and signatures, notes.
SUFFIXES = (
    ".qcow2", ".qcow", ".img", ".raw", ".iso", ".vmdk", ".vdi", ".vhd", ".vhdx", ".qed", ".fd", ".gz", ".xz", ".zst",
    ".xml", ".json", ".yaml", ".yml", ".toml", ".md5", ".sha1", ".sha256", ".sha512", ".sum", ".asc", ".sig", ".sign",
    ".gpg", ".txt", ".md",
)  # fmt: skip
BLOCK, SMALLEST = 512, 1 << 20  # bytes: what a raw disk is a multiple of, and what is too small to be one
NAMED = 3
MOST = 10_000  # entries: who has more of them waits for no look at each


def must_have_no_others(host: Host, path: str) -> None:
    """Raise Refused("pool.other_files") where files lie at `path` that are no images, as far as we may see it."""
    place = host.paths.at(path)
    found = host.ask(place, lambda: sorted(islice(_others(place), NAMED + 1)))
    if found:
        more = ", …" if len(found) > NAMED else ""
        said = f"No pool is made at {path!r}: it has files that are no images: {', '.join(found[:NAMED])}{more}."
        hints = (f"Take a directory of its own, as {argument(f'{path}/images')}.",
                 "If they are to be volumes, which `volume delete` removes, say --any-files.")  # fmt: skip
        raise Refused("pool.other_files", said, state=NOTHING_CHANGED, hints=hints)


def _others(place: str) -> Iterator[str]:
    try:
        with os.scandir(place) as entries:
            yield from (one.name for one in islice(entries, MOST) if _is_other(one))
    except OSError:
        return  # it is not there yet, or not for us to see


def _is_other(entry: os.DirEntry[str]) -> bool:
    try:
        status = entry.stat()
    except OSError:
        return False
    if not stat.S_ISREG(status.st_mode) or entry.name.lower().endswith(SUFFIXES):
        return False
    is_raw = status.st_size >= SMALLEST and not status.st_size % BLOCK
    return not is_raw and not begins_as_image(entry.path)
