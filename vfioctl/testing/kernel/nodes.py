"""The files of the simulated kernel as a tree of nodes with numbers. Knows no device and no FUSE message."""

from __future__ import annotations

import errno
import itertools
import stat
from collections.abc import Callable, Iterator

Show = Callable[[], str]
Store = Callable[[str], None]

_numbers = itertools.count(2)  # 1 is the root of the mount


class Wait(Exception):
    """The caller waits in the kernel, deaf to every signal, until `ready` says so; then `resume` gives the answer.

    `owner` names the device whose lock is waited for, for the log. Not `deaf`: a signal ends a program's wait.
    """

    def __init__(
        self, ready: Callable[[], bool], resume: Callable[[], str | None], *, owner: str = "", deaf: bool = True
    ) -> None:
        super().__init__(owner)
        self.ready = ready
        self.resume = resume
        self.owner = owner
        self.deaf = deaf


class Node:
    """A file, directory or link. What stands under a name is changed only by the directory's `add` and `drop`."""

    __slots__ = ("ino", "mode", "name", "parent", "rdev", "uid")

    def __init__(self, mode: int, *, rdev: int = 0) -> None:
        self.ino = next(_numbers)
        self.mode = mode
        self.rdev = rdev
        self.uid: int | None = None  # None: whoever serves the mount
        self.name = ""
        self.parent: Directory | None = None

    @property
    def path(self) -> str:
        """The path below the root of the machine, "/sys/…"."""
        parts: list[str] = []
        node: Node | None = self
        while node is not None and node.name:
            parts.append(node.name)
            node = node.parent
        return "/" + "/".join(reversed(parts))

    def size(self) -> int:
        return 0


class Directory(Node):
    """A directory whose entries the kernel simulation adds and removes. `version` counts the changes."""

    __slots__ = ("children", "remembered", "version")

    def __init__(self, *, mode: int = 0o755) -> None:
        super().__init__(stat.S_IFDIR | mode)
        self.children: dict[str, Node] = {}
        self.remembered: set[str] = set()  # names that someone outside may answer by itself, until it is told
        self.version = 0

    def add(self, name: str, node: Node) -> Node:
        node.name = name
        node.parent = self
        self.children[name] = node
        self._changed(name)
        return node

    def drop(self, name: str) -> None:
        """Remove the entry `name` when it is there."""
        if node := self.children.pop(name, None):
            node.parent = None
            self._changed(name)

    def _changed(self, name: str) -> None:
        self.version += 1
        if name not in self.remembered:
            return
        self.remembered.discard(name)
        top = self
        while top.parent is not None:
            top = top.parent
        if isinstance(top, Root):  # else nothing of this directory is shown any more
            top.forget(self, name)

    def lookup(self, name: str) -> Node | None:
        return self.children.get(name)

    def may_remember(self, _name: str) -> bool:
        """Whether what `lookup` says of this name, also that there is none, holds until it is added or dropped."""
        return True

    def entries(self) -> Iterator[tuple[str, Node]]:
        return iter(tuple(self.children.items()))

    def directory(self, path: str) -> Directory:
        """The directory at the relative `path`, made with its missing parents."""
        here = self
        for name in path.split("/"):
            child = here.children.get(name)
            if not isinstance(child, Directory):
                child = Directory()
                here.add(name, child)
            here = child
        return here


class Root(Directory):
    """The top of what is shown; `forget` tells whoever remembers names that one of a directory has changed."""

    __slots__ = ("forget",)

    def __init__(self, forget: Callable[[Directory, str], None]) -> None:
        super().__init__()
        self.forget = forget


class Computed(Directory):
    """A directory whose entries are made at every look, because something else than this simulation changes them."""

    __slots__ = ()

    def may_remember(self, name: str) -> bool:
        return name in self.children


class Link(Node):
    """A symbolic link. A link that changes is dropped and made anew, as sysfs does."""

    __slots__ = ("target",)

    def __init__(self, target: str) -> None:
        super().__init__(stat.S_IFLNK | 0o777)
        self.target = target

    def size(self) -> int:
        return len(self.target)


class Attribute(Node):
    """A file whose text is made at each read, and whose writes do something. Both may raise OSError or Wait."""

    __slots__ = ("show", "store")

    def __init__(self, show: Show | None, store: Store | None = None, *, mode: int | None = None) -> None:
        if mode is None:
            mode = (0o444 if show else 0) | (0o200 if store else 0)
        super().__init__(stat.S_IFREG | mode)
        self.show = show
        self.store = store

    def size(self) -> int:
        return 4096


class Constant(Node):
    """A file that never changes; the page cache may keep it."""

    __slots__ = ("data",)

    def __init__(self, text: str | bytes, *, mode: int = 0o444) -> None:
        super().__init__(stat.S_IFREG | mode)
        self.data = text if isinstance(text, bytes) else f"{text}\n".encode()

    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]


class CharDevice(Node):
    """A device node that can be looked at with stat(2); it cannot be opened."""

    __slots__ = ()

    def __init__(self, rdev: int, *, mode: int = 0o660) -> None:
        super().__init__(stat.S_IFCHR | mode, rdev=rdev)


class BlockDevice(Node):
    """A node of a block device that can be looked at with stat(2), where a process has it open."""

    __slots__ = ()

    def __init__(self, rdev: int) -> None:
        super().__init__(stat.S_IFBLK | 0o660, rdev=rdev)


class Disk(Node):
    """What stands in /dev for a block device. A file: FUSE would let the real device of that number be opened.

    FUSE is not told of O_EXCL either (fuse_send_open() masks it): an open with O_NONBLOCK counts as exclusive.
    """

    __slots__ = ("contents", "empty", "held", "length")

    def __init__(
        self, length: int, contents: dict[int, bytes], held: Callable[[], bool], *, empty: bool = False
    ) -> None:  # fmt: skip
        super().__init__(stat.S_IFREG | 0o660)
        self.length = length
        self.empty = empty
        self.contents = contents  # by offset; zeros elsewhere
        self.held = held

    def size(self) -> int:
        return self.length

    def read(self, offset: int, size: int) -> bytes:
        if self.empty:
            raise OSError(errno.EIO, "there is no disc")
        end = min(offset + size, self.length)
        data = bytearray(max(0, end - offset))
        for start, piece in self.contents.items():
            low, high = max(start, offset), min(start + len(piece), end)
            if low < high:
                data[low - offset : high - offset] = piece[low - start : high - start]
        return bytes(data)


class Conversation(Node):
    """A file that is written to and then answers, for each opener on its own.

    `by_process`: for each process instead, which may open it once to write and once to read.
    """

    __slots__ = ("answer", "by_process")

    def __init__(self, answer: Callable[[bytes, int], str], *, by_process: bool = False) -> None:
        super().__init__(stat.S_IFREG | 0o666)
        self.answer = answer
        self.by_process = by_process

    def key(self, handle: int, pid: int) -> tuple[bool, int]:
        return (True, pid) if self.by_process else (False, handle)


def resolve(root: Directory, path: str) -> str:
    """The canonical form of `path`: links followed as far as they exist, the rest kept as it is."""
    todo = [part for part in path.split("/") if part]
    here: list[str] = []
    for _ in range(400):
        if not todo:
            break
        part = todo.pop(0)
        if part == "..":
            here = here[:-1]
            continue
        node = find(root, [*here, part])
        if isinstance(node, Link) and todo:
            todo = [*node.target.split("/"), *todo]
        else:
            here.append(part)
    return "/" + "/".join(here)


def find(root: Directory, parts: list[str]) -> Node | None:
    """The node at `parts`, following no link."""
    node: Node | None = root
    for part in parts:
        if not isinstance(node, Directory):
            return None
        node = node.lookup(part)
    return node
