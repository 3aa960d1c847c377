"""Listings of directories as FUSE wants them, and when the kernel may keep one. Sends no message."""

from __future__ import annotations

import struct

from vfioctl.testing.kernel.nodes import Directory, Node

DIRENT = struct.Struct("<QQII")
KEEP_CACHE, CACHE_DIR = 2, 8


class Listing:
    """An open directory: its entries as they were when they were first read. `cached`: the kernel keeps them."""

    __slots__ = ("cached", "entries", "node")

    def __init__(self, node: Directory, *, cached: bool) -> None:
        self.node = node
        self.cached = cached
        self.entries: list[tuple[str, Node]] = []

    def read(self, offset: int, size: int) -> bytes:
        """As many entries after the first `offset` as fit in `size` bytes."""
        if not offset:
            self.entries = [(".", self.node), ("..", self.node), *self.node.entries()]
        out = bytearray()
        for index in range(offset, len(self.entries)):
            name, node = self.entries[index]
            raw = name.encode(errors="surrogateescape")
            padding = -len(raw) % 8
            if len(out) + DIRENT.size + len(raw) + padding > size:
                break
            out += DIRENT.pack(node.ino, index + 1, len(raw), node.mode >> 12) + raw + b"\0" * padding
        return bytes(out)


class Kept:
    """What listing of one directory the kernel keeps: of which version, and how many open files may add to it."""

    __slots__ = ("open", "version")

    def __init__(self) -> None:
        self.version = -1
        self.open = 0

    def flags(self, version: int) -> int:
        """How the directory, now of this version, is opened."""
        if version == self.version:
            return CACHE_DIR | KEEP_CACHE
        if self.open:
            return 0  # they still add the old entries
        self.version = version
        return CACHE_DIR
