"""A file system of somebody's, spoken to /dev/fuse directly: one file, which nobody but who mounted it may look at.

As a program it holds a device: `python3 -m tests.lab.inside.fuse PLACE NODE` mounts one as nobody's and keeps NODE and
the file open as nobody, as a player does that has a film of a share and the sound card.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import socket
import struct
import sys

HEADER = struct.Struct("<IIQQIIII")
ANSWER = struct.Struct("<IiQ")
LOOKUP, FORGET, GETATTR, OPEN, READ, INIT, INTERRUPT, BATCH_FORGET = 1, 2, 3, 14, 15, 26, 36, 42
INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
ENTRY = struct.Struct("<QQQQII")
ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
ATTR_VALID = struct.Struct("<QII")
OPENED = struct.Struct("<QIi")
COMMAND = struct.Struct("<i")
SILENT = -1
ROOT, FILM = 1, 2
BUFFER = 1 << 18
MS_NOSUID, MS_NODEV = 2, 4
NOBODY = 65534
libc = ctypes.CDLL(None, use_errno=True)


def mount(place: str, uid: int, *, shared: bool) -> int:
    """The descriptor of a new mount that is the user `uid`'s; without `shared` nobody else may look at it."""
    os.makedirs(place, exist_ok=True)
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={fd},rootmode=40755,user_id={uid},group_id={uid}{',allow_other' if shared else ''}"
    if libc.mount(b"share", os.fsencode(place), b"fuse", MS_NOSUID | MS_NODEV, options.encode()):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), place)
    return fd


def serve(fd: int, line: socket.socket, uid: int) -> None:
    """Answer until the mount is gone. A number from `line` is the error of all attributes from then on, or SILENT."""
    refusal = 0
    while True:
        ready, _, _ = select.select([fd, line], [], [])
        if line in ready:
            (refusal,) = COMMAND.unpack(line.recv(COMMAND.size))
            line.send(b".")
            continue
        _, opcode, unique, ino, *_ = HEADER.unpack_from(os.read(fd, BUFFER))
        if opcode in (FORGET, INTERRUPT, BATCH_FORGET, READ) or (refusal == SILENT and opcode != INIT):
            continue  # data are never given: who maps the file and touches it waits
        answer = _answer(opcode, ino, uid)
        number = refusal if opcode == GETATTR and ino == FILM else 0 if answer is not None else errno.ENOSYS
        body = b"" if number or answer is None else answer
        os.write(fd, ANSWER.pack(ANSWER.size + len(body), -number, unique) + body)


def _answer(opcode: int, ino: int, uid: int) -> bytes | None:
    if opcode == INIT:
        return INIT_OUT.pack(7, 31, 0, 0, 64, 48, 65536, 1, 0, 0, 0)
    if opcode == LOOKUP:
        return ENTRY.pack(FILM, 0, 0, 0, 0, 0) + _attributes(FILM, uid)
    if opcode == GETATTR:
        return ATTR_VALID.pack(0, 0, 0) + _attributes(ino, uid)
    return OPENED.pack(1, 0, 0) if opcode == OPEN else None


def _attributes(ino: int, uid: int) -> bytes:
    mode = 0o100666 if ino == FILM else 0o040777
    return ATTR.pack(ino, 1 << 20, 8, 0, 0, 0, 0, 0, 0, mode, 1, uid, uid, 0, 4096, 0)


def film(place: str) -> int:
    """The file, open, in this process, which is the user nobody's from now on; a child of it serves."""
    fd = mount(place, NOBODY, shared=False)
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        serve(fd, theirs, NOBODY)
    ours.detach()  # stays open: without its other end the child would end
    os.close(fd)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    return os.open(os.path.join(place, "film"), os.O_RDONLY)


def main(place: str, node: str) -> None:
    """Hold `node` and a file of the user nobody."""
    held = [os.open(node, os.O_RDONLY), film(place)]
    signal.pause()
    del held


if __name__ == "__main__":
    main(*sys.argv[1:])
