"""The FUSE messages of the kit, spoken to /dev/fuse directly; knows nodes, not devices.

Written without libfuse for two reasons: an answer may come later, so a write blocks its caller alone and no thread
waits for it; and the kernel may remember every name and listing until it is told. Protocol 7.31 (Linux 5.4 and newer).
"""

from __future__ import annotations

import errno
import os
import queue
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from typing import Protocol

from vfioctl.testing.kernel.nodes import Computed, Constant, Conversation, Directory, Disk, Link, Node
from vfioctl.testing.listing import Kept, Listing

HEADER = struct.Struct("<IIQQIIII")
ANSWER = struct.Struct("<IiQ")
ENTRY = struct.Struct("<QQQQII")
ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
ATTR_VALID = struct.Struct("<QII")
OPENED = struct.Struct("<QIi")
IO = struct.Struct("<QQIIQII")
INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
INVALID_ENTRY = struct.Struct("<QIi")
NO_ATTR = bytes(ATTR.size)

MAX_WRITE = 65536
BUFFER = MAX_WRITE + 8192
ATOMIC_O_TRUNC = 1 << 3
BIG_WRITES = 1 << 5
PARALLEL_DIROPS = 1 << 18
CACHE_SYMLINKS = 1 << 23
DIRECT_IO, KEEP_CACHE, PARALLEL_WRITES = 1, 2, 64
NOTIFY_INVALID_ENTRY = 3
LONG = 3600
ROOT_INO = 1


class Tree(Protocol):
    """What the messages need from the machine."""

    root: Directory

    def store(self, node: Node, text: str, pid: int, answer: Callable[[int], None]) -> None:
        """Write `text`; call `answer` with an errno or 0, now or later."""

    def show(self, node: Node, pid: int, answer: Callable[[bytes | int], None]) -> None:
        """Read; call `answer` with the bytes or an errno, now or later."""

    def open_disk(self, node: Disk, *, exclusive: bool, pid: int, answer: Callable[[int], None]) -> None:
        """Open a disk; call `answer` with an errno or 0, now or later."""

    def converse(self, node: Conversation, said: bytes, pid: int, answer: Callable[[bytes | int], None]) -> None:
        """Answer what was written; call `answer` now or later."""

    def interrupt(self, pid: int) -> None:
        """A signal came for a program that waits for such an answer."""


PROGRAMS = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
# Waits for the end of its input and unmounts then; fusermount3's own auto_unmount fails without allow_other.
GUARD = 'read -r _; exec fusermount3 -u -z -q -- "$1"'


class Mount:
    """A mount at `path`; a guard process takes it away when we let go of it, or die."""

    def __init__(self, path: str, *, shared: bool) -> None:
        self.fd = _mount(path, shared=shared)
        reading, self.alive = os.pipe2(os.O_CLOEXEC)
        self.guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "sh", path], stdin=reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"PATH": PROGRAMS}, start_new_session=True, cwd="/",
        )  # fmt: skip
        os.close(reading)

    def end(self) -> None:
        """Let go: whoever waits gets an error, and the guard takes the dead mount away."""
        os.close(self.fd)
        os.close(self.alive)
        self.guard.wait(10)


def _mount(path: str, *, shared: bool) -> int:
    """The descriptor of a new FUSE mount. Raises OSError; fusermount3 has said why on stderr."""
    options = "fsname=vfioctl-fake,subtype=vfioctl,default_permissions"
    ours, theirs = socket.socketpair()
    helper = subprocess.Popen(
        ["fusermount3", "-o", f"{options},allow_other" if shared else options, "--", path],
        pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL,
        env={"PATH": PROGRAMS, "_FUSE_COMMFD": str(theirs.fileno())},
    )  # fmt: skip
    theirs.close()
    with ours:
        _, fds, _, _ = socket.recv_fds(ours, 16, 1)
    helper.wait()
    if not fds:
        raise OSError(errno.EIO, "fusermount3 did not mount", path)
    os.set_blocking(fds[0], False)
    return fds[0]


class Session:
    """Serves one mount. One thread answers; a second one sends the notices that may block."""

    def __init__(self, fd: int, tree: Tree) -> None:
        self.fd = fd
        self.tree = tree
        self.uid = os.getuid()
        self.gid = os.getgid()
        self.nodes: dict[int, Node] = {}
        self.counts: dict[int, int] = {}
        self.open: dict[int, bytes | Listing | None] = {}
        self.kept: dict[int, Kept] = {}
        self.said: dict[tuple[bool, int], bytes] = {}
        self.asking: dict[int, int] = {}  # a request that waits for an answer to what was said, and its process
        self.notices = 0
        self.notified = 0  # how many of these the kernel has taken
        self.last_handle = 0
        self.buffer = bytearray(BUFFER)
        self.later: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.handlers = {
            1: self._lookup, 2: self._forget, 3: self._getattr, 4: self._setattr, 5: self._readlink, 14: self._open,
            15: self._read, 16: self._write, 17: self._statfs, 18: self._release, 26: self._init, 27: self._opendir,
            28: self._readdir, 29: self._releasedir, 36: self._interrupt, 38: lambda *_: None,
            39: self._ioctl, 42: self._batch_forget,
        }  # fmt: skip
        threading.Thread(target=self._run_later, daemon=True).start()

    def step(self) -> bool:
        """Answer what is waiting; False when the mount is gone."""
        while True:
            try:
                size = os.readv(self.fd, [self.buffer])
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue  # the request was interrupted before we read it
                if error.errno == errno.ENODEV:
                    return False
                raise
            self._handle(memoryview(self.buffer)[:size])

    def _handle(self, message: memoryview) -> None:
        _, opcode, unique, ino, _, _, pid, _ = HEADER.unpack_from(message)
        if (handler := self.handlers.get(opcode)) is None:
            self._fail(unique, errno.ENOSYS)
            return
        try:
            handler(unique, ino, pid, message[HEADER.size :])
        except OSError as error:
            self._fail(unique, error.errno or errno.EIO)

    def _send(self, unique: int, payload: bytes = b"") -> None:
        self._put(ANSWER.pack(ANSWER.size + len(payload), 0, unique) + payload)

    def _fail(self, unique: int, number: int) -> None:
        self._put(ANSWER.pack(ANSWER.size, -number, unique))

    def _put(self, data: bytes) -> None:
        try:
            os.write(self.fd, data)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV, errno.EBADF):  # the caller or the mount has gone
                raise

    def _settled(self, unique: int, result: bytes | int) -> None:
        """Answer once the kernel has forgotten what has changed."""

        def send() -> None:
            if isinstance(result, int):
                self._fail(unique, result)
            else:
                self._send(unique, result)

        if self.notices != self.notified:
            self.later.put(send)
        else:
            send()

    # Notices: the kernel takes the directory's lock for them, which a look-up that waits for us may hold.

    def forget_entry(self, parent: Directory, name: str) -> None:
        """Make the kernel forget `name` and all below it."""
        ino = ROOT_INO if parent is self.tree.root else parent.ino
        raw = name.encode(errors="surrogateescape") + b"\0"
        body = INVALID_ENTRY.pack(ino, len(raw) - 1, 0) + raw
        message = ANSWER.pack(ANSWER.size + len(body), NOTIFY_INVALID_ENTRY, 0) + body

        def notify() -> None:
            try:
                self._put(message)
            finally:
                self.notified += 1

        self.notices += 1
        self.later.put(notify)

    def _run_later(self) -> None:
        while True:
            self.later.get()()

    # Names and attributes

    def _node(self, ino: int) -> Node:
        if ino == ROOT_INO:
            return self.tree.root
        try:
            return self.nodes[ino]
        except KeyError:
            raise OSError(errno.ESTALE, "no such node") from None

    def _attr(self, node: Node) -> bytes:
        size = node.size()
        minor, major = os.minor(node.rdev), os.major(node.rdev)
        rdev = (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)
        return ATTR.pack(
            node.ino, size, 0, 0, 0, 0, 0, 0, 0, node.mode, 1,
            self.uid if node.uid is None else node.uid, self.gid if node.uid is None else node.uid, rdev, 4096, 0,
        )  # fmt: skip

    def _lookup(self, unique: int, ino: int, _pid: int, body: memoryview) -> None:
        parent = self._node(ino)
        name = bytes(body[:-1]).decode(errors="surrogateescape")
        if not isinstance(parent, Directory):
            raise OSError(errno.ENOTDIR, "not a directory")
        child = parent.lookup(name)
        valid = 0
        if parent.may_remember(name):
            parent.remembered.add(name)
            valid = LONG
        if child is None:
            self._send(unique, ENTRY.pack(0, 0, valid, 0, 0, 0) + NO_ATTR)
            return
        self.nodes[child.ino] = child
        self.counts[child.ino] = self.counts.get(child.ino, 0) + 1
        self._send(unique, ENTRY.pack(child.ino, 0, valid, LONG, 0, 0) + self._attr(child))

    def _forget(self, _unique: int, ino: int, _pid: int, body: memoryview) -> None:
        self._drop(ino, struct.unpack_from("<Q", body)[0])

    def _batch_forget(self, _unique: int, _ino: int, _pid: int, body: memoryview) -> None:
        (count,) = struct.unpack_from("<I", body)
        for index in range(count):
            self._drop(*struct.unpack_from("<QQ", body, 8 + 16 * index))

    def _drop(self, ino: int, times: int) -> None:
        left = self.counts.get(ino, 0) - times
        if left > 0:
            self.counts[ino] = left
        else:
            self.counts.pop(ino, None)
            self.nodes.pop(ino, None)
            self.kept.pop(ino, None)

    def _getattr(self, unique: int, ino: int, _pid: int, _body: memoryview) -> None:
        self._send(unique, ATTR_VALID.pack(LONG, 0, 0) + self._attr(self._node(ino)))

    _setattr = _getattr  # truncation by a shell's ">", times: accepted and without effect, as in sysfs

    def _readlink(self, unique: int, ino: int, _pid: int, _body: memoryview) -> None:
        node = self._node(ino)
        if not isinstance(node, Link):
            raise OSError(errno.EINVAL, "not a link")
        self._send(unique, node.target.encode(errors="surrogateescape"))

    # Files

    def _handle_number(self, content: bytes | Listing | None) -> int:
        self.last_handle += 1
        self.open[self.last_handle] = content
        return self.last_handle

    def _open(self, unique: int, ino: int, pid: int, body: memoryview) -> None:
        node = self._node(ino)
        (asked,) = struct.unpack_from("<I", body)
        if isinstance(node, Disk):
            self._open_disk(unique, node, exclusive=bool(asked & os.O_NONBLOCK), pid=pid)
            return
        if isinstance(node, Conversation) and asked & os.O_TRUNC:
            self.said.pop((True, pid), None)  # what an earlier process of this number has left
        flags = KEEP_CACHE if isinstance(node, Constant) else DIRECT_IO | PARALLEL_WRITES
        self._send(unique, OPENED.pack(self._handle_number(None), flags, 0))

    def _open_disk(self, unique: int, node: Disk, *, exclusive: bool, pid: int) -> None:
        def answer(number: int) -> None:
            opened = OPENED.pack(self._handle_number(None), DIRECT_IO, 0)
            self._settled(unique, number or opened)

        self.tree.open_disk(node, exclusive=exclusive, pid=pid, answer=answer)

    def _read(self, unique: int, ino: int, pid: int, body: memoryview) -> None:
        handle, offset, size, *_ = IO.unpack_from(body)
        node = self._node(ino)
        if isinstance(node, Constant | Disk):
            self._send(unique, node.read(offset, size))
            return
        if isinstance(node, Conversation):
            self._read_answer(unique, node, handle, size, pid)
            return
        content = self.open.get(handle)
        if offset and isinstance(content, bytes):
            self._send(unique, content[offset : offset + size])
            return

        def answer(result: bytes | int) -> None:
            if not isinstance(result, int):
                self.open[handle] = result
                result = result[offset : offset + size]
            self._settled(unique, result)

        self.tree.show(node, pid, answer)

    def _read_answer(self, unique: int, node: Conversation, handle: int, size: int, pid: int) -> None:
        said = self.said.pop(node.key(handle, pid), None)
        if said is None:
            content = self.open.get(handle)
            rest = content if isinstance(content, bytes) else b""
            self.open[handle] = rest[size:]
            self._send(unique, rest[:size])
            return

        def answer(result: bytes | int) -> None:
            self.asking.pop(unique, None)
            if not isinstance(result, int):
                self.open[handle] = result[size:]
                result = result[:size]
            self._settled(unique, result)

        self.asking[unique] = pid
        self.tree.converse(node, said, pid, answer)

    def _interrupt(self, _unique: int, _ino: int, _pid: int, body: memoryview) -> None:
        """It gets no answer itself. A writer stays in the kernel, as with a real device lock."""
        self.tree.interrupt(self.asking.get(struct.unpack_from("<Q", body)[0], 0))

    def _write(self, unique: int, ino: int, pid: int, body: memoryview) -> None:
        handle, _, size, *_ = IO.unpack_from(body)
        node = self._node(ino)
        data = bytes(body[IO.size : IO.size + size])
        written = struct.pack("<II", size, 0)
        if isinstance(node, Conversation):
            key = node.key(handle, pid)
            self.said[key] = self.said.get(key, b"") + data
            self._send(unique, written)
            return
        self.tree.store(
            node, data.decode(errors="surrogateescape"), pid,
            lambda number: self._settled(unique, number or written),
        )  # fmt: skip

    def _release(self, unique: int, _ino: int, _pid: int, body: memoryview) -> None:
        (handle,) = struct.unpack_from("<Q", body)
        self.open.pop(handle, None)
        self.said.pop((False, handle), None)
        self._send(unique)

    # Directories

    def _opendir(self, unique: int, ino: int, _pid: int, _body: memoryview) -> None:
        node = self._node(ino)
        if not isinstance(node, Directory):
            raise OSError(errno.ENOTDIR, "not a directory")
        flags = 0
        if not isinstance(node, Computed):
            kept = self.kept.setdefault(ino, Kept())
            flags = kept.flags(node.version)
            kept.open += bool(flags)
        self._send(unique, OPENED.pack(self._handle_number(Listing(node, cached=bool(flags))), flags, 0))

    def _readdir(self, unique: int, _ino: int, _pid: int, body: memoryview) -> None:
        handle, offset, size, *_ = IO.unpack_from(body)
        listing = self.open.get(handle)
        self._send(unique, listing.read(offset, size) if isinstance(listing, Listing) else b"")

    def _releasedir(self, unique: int, ino: int, _pid: int, body: memoryview) -> None:
        listing = self.open.pop(struct.unpack_from("<Q", body)[0], None)
        if isinstance(listing, Listing) and listing.cached and ino in self.kept:
            self.kept[ino].open -= 1
        self._send(unique)

    # The rest

    def _init(self, unique: int, _ino: int, _pid: int, body: memoryview) -> None:
        _, minor, readahead, offered = struct.unpack_from("<IIII", body)
        flags = offered & (ATOMIC_O_TRUNC | BIG_WRITES | PARALLEL_DIROPS | CACHE_SYMLINKS)
        self._send(unique, INIT_OUT.pack(7, min(minor, 31), readahead, flags, 64, 48, MAX_WRITE, 1, 0, 0, 0))

    def _statfs(self, unique: int, _ino: int, _pid: int, _body: memoryview) -> None:
        self._send(unique, struct.pack("<QQQQQIIII24x", 0, 0, 0, 0, 0, 4096, 255, 4096, 0))

    def _ioctl(self, unique: int, _ino: int, _pid: int, _body: memoryview) -> None:
        self._fail(unique, errno.ENOTTY)
