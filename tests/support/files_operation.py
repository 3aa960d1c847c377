"""An operation that is no hand-off: it copies, writes, replaces, downloads files and runs a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from downloads import Served
from operation_host import OperationHost

from vfioctl.txn import blobs

NAME = "files set"  # of an operation that nobody has installed
STEPS = ("copy", "write", "replace", "note", "fetch")
BOUNDARIES = tuple(range(1, 2 * len(STEPS) + 1))
NOTE = """#!/bin/sh
case $1 in
add) echo noted >"{root}/srv/noted" ;;
remove) /bin/rm -f "{root}/srv/noted" ;;
esac
"""
OURS = ("srv/copied", "srv/written", "srv/noted", "srv/fetched")


class FilesHost(OperationHost):
    """The directory that is a host, its server, and one operation on it."""

    name = NAME
    ours = OURS

    def __init__(self, root: Path, served: Served, *, own: str = "", processes: bool = False) -> None:
        self.served = served
        super().__init__(root, own=own, processes=processes)

    def furnish(self) -> None:
        (self.root / "srv/source").write_text("source")
        (self.root / "srv/replaced").write_text("before")
        program = self.root / "usr/bin/note"
        program.write_text(NOTE.format(root=self.root))
        program.chmod(0o755)

    def wishes(self) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        written, instead = (blobs.store(self.node.paths, text) for text in (b"written", b"after"))
        return (
            ("copy", "file.copy", {"source": "/srv/source", "dest": "/srv/copied"}),
            ("write", "file.write", {"path": "/srv/written", "blob": written.name, "size": written.size}),
            ("replace", "file.write", {
                "path": "/srv/replaced", "blob": instead.name, "size": instead.size, "replace": True,
            }),
            ("note", "command.run", {"argv": ["note", "add"], "undo_argv": ["note", "remove"]}),
            ("fetch", "file.fetch", {"url": self.served.url, "path": "/srv/fetched", "sha256": self.served.sha256}),
        )  # fmt: skip
