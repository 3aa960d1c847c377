"""`python3 -m tests.lab.inside.locked PLACE`: a process of nobody's whose memory map stays locked.

It maps a file of its own file system and reads that page through /proc/self/mem, which takes the lock of the map
(Linux 6.1, fs/proc/base.c, mem_rw); a second thread maps something, and waits for the lock as a writer. Whoever reads
`maps` or `cmdline` waits behind it.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
import time

from tests.lab.inside import fuse

WRITERS_DELAY = 1.0  # the reader is in the kernel by then


def main(place: str) -> None:
    """Lock the memory of this process for good."""
    name = os.path.join(place, "film")
    memory = os.open("/proc/self/mem", os.O_RDONLY)  # root's, as all of a process that has changed its user
    page = mmap.mmap(fuse.film(place), mmap.PAGESIZE, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
    with open("/proc/self/maps", encoding="utf-8") as maps:
        start = int(next(line for line in maps if name in line).split("-")[0], 16)
    reader = threading.Thread(target=lambda: os.pread(memory, 1, start))
    reader.start()
    time.sleep(WRITERS_DELAY)
    mmap.mmap(-1, mmap.PAGESIZE)
    page.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
