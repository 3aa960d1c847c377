"""A small NFS server for one directory, read-only, to be mounted by the kernel's own client; it ends when it is killed.

MOUNT version 3 and NFS version 3 over TCP (RFC 1813) on one port of the loopback: no package and no rpcbind is needed.
Run as a program: nfs_server.py DIRECTORY; the port is its first line.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys
import threading
from collections.abc import Callable

MOUNT, NFS = 100005, 100003
OK, NOENT, NOTSUPP = 0, 2, 10004
LAST = 0x80000000
ROOT = b"root"
SIZE = 65536


class Arguments:
    """What a call carries, read as XDR (RFC 4506)."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def number(self) -> int:
        self.at += 4
        return int(struct.unpack_from(">I", self.data, self.at - 4)[0])

    def large(self) -> int:
        return self.number() << 32 | self.number()

    def opaque(self) -> bytes:
        size = self.number()
        found = self.data[self.at : self.at + size]
        self.at += (size + 3) // 4 * 4
        return found


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def opaque(data: bytes) -> bytes:
    return numbers(len(data)) + data + bytes(-len(data) % 4)


class Server:
    """The answers, by program and procedure."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.answers: dict[tuple[int, int], Callable[[Arguments], bytes]] = {
            (MOUNT, 0): lambda _: b"", (MOUNT, 1): self.mount, (MOUNT, 3): lambda _: b"",
            (NFS, 0): lambda _: b"", (NFS, 1): self.getattr, (NFS, 3): self.lookup, (NFS, 4): self.access,
            (NFS, 6): self.read, (NFS, 18): self.fsstat, (NFS, 19): self.fsinfo, (NFS, 20): self.pathconf,
        }  # fmt: skip

    def path(self, handle: bytes) -> str:
        return self.directory if handle == ROOT else os.path.join(self.directory, os.fsdecode(handle))

    def attributes(self, handle: bytes) -> bytes:
        status = os.stat(self.path(handle))
        kind = 2 if stat.S_ISDIR(status.st_mode) else 1
        size = struct.pack(">QQ", status.st_size, status.st_size)
        known = struct.pack(">QQQ", 0, 7, status.st_ino)  # no device, the file system's id, the file's
        times = numbers(int(status.st_mtime), 0) * 3
        return numbers(kind, stat.S_IMODE(status.st_mode), 1, 0, 0) + size + known + times

    def after(self, handle: bytes) -> bytes:
        return numbers(1) + self.attributes(handle)

    def mount(self, _call: Arguments) -> bytes:
        return numbers(OK) + opaque(ROOT) + numbers(1, 1)  # AUTH_SYS

    def getattr(self, call: Arguments) -> bytes:
        return numbers(OK) + self.attributes(call.opaque())

    def lookup(self, call: Arguments) -> bytes:
        directory, name = call.opaque(), call.opaque()
        if not os.path.exists(self.path(name)):
            return numbers(NOENT) + self.after(directory)
        return numbers(OK) + opaque(name) + self.after(name) + self.after(directory)

    def access(self, call: Arguments) -> bytes:
        handle = call.opaque()
        return numbers(OK) + self.after(handle) + numbers(call.number() & 0x23)  # read, look up, execute

    def read(self, call: Arguments) -> bytes:
        handle, offset, count = call.opaque(), call.large(), call.number()
        with open(self.path(handle), "rb") as file:
            file.seek(offset)
            data = file.read(min(count, SIZE))
            end = not file.read(1)
        return numbers(OK) + self.after(handle) + numbers(len(data), int(end)) + opaque(data)

    def fsstat(self, call: Arguments) -> bytes:
        return numbers(OK) + self.after(call.opaque()) + struct.pack(">6QI", 1 << 30, 0, 0, 100, 0, 0, 0)

    def fsinfo(self, call: Arguments) -> bytes:
        sizes = numbers(SIZE, SIZE, 4096, SIZE, SIZE, 4096, SIZE)
        return numbers(OK) + self.after(call.opaque()) + sizes + struct.pack(">QQI", 1 << 40, 1, 0x1B)

    def pathconf(self, call: Arguments) -> bytes:
        return numbers(OK) + self.after(call.opaque()) + numbers(1, 255, 1, 1, 0, 1)

    def serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        while mark := stream.read(4):
            size = struct.unpack(">I", mark)[0] & ~LAST
            reply = self.reply(Arguments(stream.read(size)))
            connection.sendall(numbers(LAST | len(reply)) + reply)

    def reply(self, call: Arguments) -> bytes:
        ticket, _, _, program, _, procedure = (call.number() for _ in range(6))
        for _ in range(2):  # who calls, and the proof of it
            call.number()
            call.opaque()
        head = numbers(ticket, 1, 0, 0, 0)
        answer = self.answers.get((program, procedure))
        unknown = numbers(3 if program in (MOUNT, NFS) else 1)  # no such procedure, no such program
        return head + (numbers(0) + answer(call) if answer else unknown)


def main(directory: str) -> None:
    server = Server(directory)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=server.serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1])
