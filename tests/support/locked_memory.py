"""What a user without any privilege can keep others waiting with: a FUSE mount whose server stops to answer.

`locked`: a process whose memory map is locked for ever. It maps a file of its own mount and reads that page through
/proc/self/mem, which holds the lock; another thread maps something, and waits for the lock as a writer. Whoever reads
cmdline, environ or maps waits behind it. `unanswered`: a process with an open file whose attributes never come.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.inside.fuse import libc, mount
from vfioctl.proc import in_child
from vfioctl.wait import until

ALICE = 65534
HEADER, ANSWER = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
LOOKUP, GETATTR, OPEN, FLUSH, INIT = 1, 3, 14, 25, 26
ROOT, FILE, SIZE, BUFFER = 1, 2, 4096, 1 << 18
MNT_DETACH = 2
LOCKER = """\
import mmap, os, sys, threading

fd = os.open(sys.argv[1], os.O_RDONLY)
page = mmap.mmap(fd, 4096, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
line = next(line for line in open("/proc/self/maps") if sys.argv[1] in line)
memory, go = os.open("/proc/self/mem", os.O_RDONLY), threading.Event()
reader = threading.Thread(target=lambda: os.pread(memory, 8, int(line.split("-")[0], 16)))
writer = threading.Thread(target=lambda: (go.wait(), mmap.mmap(-1, 1 << 20)))
writer.start()
reader.start()
print("reading", flush=True)
go.wait(0.3)
go.set()
reader.join()
"""
OPENER = "import sys, time\nfile = open(sys.argv[1], 'rb', 0)\nprint('open', flush=True)\ntime.sleep(600)"


@contextmanager
def running_as(uid: int, *argv: str, say: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A process of `uid`; with `say` it has said a line before the block begins."""
    child = subprocess.Popen(
        argv, user=uid, group=uid, extra_groups=[], stdout=subprocess.PIPE if say else subprocess.DEVNULL, text=True,
        cwd="/", env={"PATH": os.defpath},
    )  # fmt: skip
    try:
        if child.stdout:
            assert child.stdout.readline()
        yield child
    finally:
        child.kill()
        child.communicate()


@contextmanager
def locked(place: Path, *, uid: int = ALICE, arguments: tuple[str, ...] = ()) -> Iterator[int]:
    """A process of `uid` with these further arguments, whose mount is `place`; its command line cannot be read."""
    argv = (sys.executable, "-c", LOCKER, str(place / "f"), *arguments)
    with Mount(place, uid) as mount, running_as(uid, *argv, say=True) as child:
        try:
            assert until(lambda: hangs(f"/proc/{child.pid}/cmdline"), 10.0)
            yield child.pid
        finally:
            mount.end()


@contextmanager
def unanswered(place: Path, *, uid: int = ALICE, name: str = "f", arguments: tuple[str, ...] = ()) -> Iterator[int]:
    """A process of `uid` that has `name` below `place` open, on a mount that everybody may look at, and in vain."""
    argv = (sys.executable, "-c", OPENER, str(place / name), *arguments)
    with Mount(place, uid, open_to_all=True) as mount, running_as(uid, *argv, say=True) as child:
        mount.silent.set()
        try:
            yield child.pid
        finally:
            mount.end()


def hangs(path: str) -> bool:
    """Whether nobody can read `path`."""
    report = in_child(lambda: Path(path).read_bytes(), deadline=0.2)
    if report.stuck:
        os.kill(report.pid, signal.SIGKILL)
    return report.stuck


class Mount:
    """A FUSE mount of `uid` where every name is a file of one page, which never comes."""

    def __init__(self, place: Path, uid: int, *, open_to_all: bool = False) -> None:
        self.place, self.uid, self.silent = os.fsencode(place), uid, threading.Event()
        self.fd = mount(str(place), uid, shared=open_to_all)
        self.over, self.ending = os.pipe()
        self.server = threading.Thread(target=self._serve, daemon=True)
        self.server.start()

    def __enter__(self) -> Mount:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Whoever waits gets an error."""
        if self.server.is_alive():
            libc.umount2(self.place, MNT_DETACH)
            os.write(self.ending, b".")
            self.server.join()
            os.close(self.fd)

    def _serve(self) -> None:
        while self.over not in select.select([self.fd, self.over], [], [])[0]:
            try:
                message = os.read(self.fd, BUFFER)
            except OSError:
                return
            _, opcode, unique, node, *_ = HEADER.unpack_from(message)
            answer = None if self.silent.is_set() else self._answer(opcode, node)
            if answer is not None:
                os.write(self.fd, ANSWER.pack(ANSWER.size + len(answer), 0, unique) + answer)

    def _answer(self, opcode: int, node: int) -> bytes | None:
        """Nothing may be remembered: neither names nor attributes are valid for any time."""
        about = FILE if opcode == LOOKUP else node
        mode = 0o40755 if about == ROOT else 0o100644
        attributes = struct.pack(
            "<QQQQQQIIIIIIIIII", about, SIZE, 8, 0, 0, 0, 0, 0, 0, mode, 1, self.uid, self.uid, 0, SIZE, 0
        )
        return {
            INIT: struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 64, 48, 65536, 1, 0, 0, 0),
            LOOKUP: struct.pack("<QQQQII", FILE, 0, 0, 0, 0, 0) + attributes,
            GETATTR: struct.pack("<QII", 0, 0, 0) + attributes,
            OPEN: struct.pack("<QII", 1, 0, 0),
            FLUSH: b"",
        }.get(opcode)
