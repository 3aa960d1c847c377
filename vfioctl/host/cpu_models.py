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
SHIPPED = re.compile(rb"<model name=['\"]([^'\"]*)")
X86 = re.compile(rb"<arch>(?:x86_64|i686)</arch>")
SHIPPED_SIZE = 1 << 16
CHANGED = re.compile(rb"<qemuctime>(\d+)</qemuctime>")


def is_unknown(paths: Paths, emulator: str, model: str) -> bool:
    """Whether a start with `model` fails; false when the cache is absent or older than the emulator.

    For x86 libvirt must know it itself (x86ModelFromCPU), whatever QEMU knows; else QEMU's word is enough.
    """
    cache = _cache(paths, emulator)
    known = MODEL.findall(cache)
    enough = model.encode() in known and not X86.search(cache)
    return bool(known) and not enough and not _is_mapped(paths, model)


def _cache(paths: Paths, emulator: str) -> bytes:
    from hashlib import sha256  # only a guest with a named model needs it

    cache = raw(paths.at(CACHE, f"{sha256(os.fsencode(emulator)).hexdigest()}.xml"), CACHE_SIZE) or b""
    changed = CHANGED.search(cache)
    try:
        if not changed or int(changed[1]) != int(os.stat(paths.at(emulator)).st_ctime):
            return b""
    except OSError:
        return b""
    return cache


def _is_mapped(paths: Paths, model: str) -> bool:
    """Whether libvirt has its own idea of the model: it may choose an older one in its place.

    A file has the name of its model; where none has, all are read before anything is said.
    """
    shipped = entries(paths.at(MAP))
    if not shipped or any(name.partition("_")[2] == f"{model}.xml" for name in shipped):
        return True
    return any(model.encode() in SHIPPED.findall(raw(paths.at(MAP, name), SHIPPED_SIZE) or b"") for name in shipped)
