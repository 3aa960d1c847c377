"""Which CPU models libvirt knows, from what it keeps about QEMU and ships itself. Starts no QEMU; reads only.

The cache is one file an emulator, named after the SHA-256 of its path (src/util/virfilecache.c).
"""

from __future__ import annotations

import os
import re

from vfioctl.host.readers import entries, raw
from vfioctl.paths import Paths

CACHE = "var/cache/libvirt/qemu/capabilities"
MAP = "usr/share/libvirt/cpu_map"  # ARCH_MODEL.xml
CACHE_SIZE = 1 << 23
MODEL = re.compile(rb"<cpu [^>]*?\bname='([^']*)'")
CHANGED = re.compile(rb"<qemuctime>(\d+)</qemuctime>")


def is_unknown(paths: Paths, emulator: str, model: str) -> bool:
    """Whether neither QEMU nor libvirt has `model`; false when the cache is absent or older than the emulator."""
    known = _of_qemu(paths, emulator)
    return bool(known) and model not in known and not _is_mapped(paths, model)


def _of_qemu(paths: Paths, emulator: str) -> frozenset[str]:
    from hashlib import sha256  # only a guest with a named model needs it

    cache = raw(paths.at(CACHE, f"{sha256(os.fsencode(emulator)).hexdigest()}.xml"), CACHE_SIZE) or b""
    changed = CHANGED.search(cache)
    try:
        if not changed or int(changed[1]) != int(os.stat(paths.at(emulator)).st_ctime):
            return frozenset()
    except OSError:
        return frozenset()
    return frozenset(name.decode("utf-8", "replace") for name in MODEL.findall(cache))


def _is_mapped(paths: Paths, model: str) -> bool:
    """Whether libvirt has its own idea of the model: it may choose an older one in its place."""
    shipped = entries(paths.at(MAP))
    return not shipped or any(name.partition("_")[2] == f"{model}.xml" for name in shipped)
