"""An operation on disk images: it makes an overlay, a merged image and a copy; at the end an old image goes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from disk_images import content, create, fill
from operation_host import OperationHost

STEPS = ("overlay", "merge", "copy", "delete")
BOUNDARIES = tuple(range(1, 2 * len(STEPS) + 1))
DELETION = 2 * STEPS.index("delete") + 1  # the boundary from which on nothing brings the old file back
MADE = {"overlay": "srv/overlay.qcow2", "merge": "srv/merged.qcow2", "copy": "srv/vars.fd.copy"}


class DisksHost(OperationHost):
    """Images of real bytes: base, middle and top above each other, and an old one that nobody needs."""

    name = "disks set"
    ours = tuple(MADE.values())

    def furnish(self) -> None:
        os.symlink(shutil.which("qemu-img") or "", self.root / "usr/bin/qemu-img")
        base, middle, top, old = (self.root / f"srv/{name}.qcow2" for name in ("base", "middle", "top", "old"))
        create(base)
        create(middle, backing=base)
        create(top, backing=middle)
        create(old)
        for number, path in enumerate((base, middle, top, old)):
            fill(path, 0x10 + number, number)
        (self.root / "srv/vars.fd").write_bytes(bytes(64 << 10))
        self.seen = content(top)

    def wishes(self) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        dress = {"mode": "0600", "owner": os.getuid(), "group": os.getgid()}
        old = os.stat(self.root / "srv/old.qcow2")
        return (
            ("overlay", "disk.overlay", {
                "path": "/srv/overlay.qcow2", "backing": "/srv/top.qcow2", "backing_format": "qcow2", **dress,
            }),
            ("merge", "disk.merge", {
                "path": "/srv/merged.qcow2", "top": "/srv/top.qcow2", "base": "/srv/base.qcow2", "format": "qcow2",
                **dress,
            }),
            ("copy", "file.copy", {"source": "/srv/vars.fd", "dest": "/srv/vars.fd.copy"}),
            ("delete", "file.delete", {"path": "/srv/old.qcow2", "device": old.st_dev, "inode": old.st_ino}),
        )  # fmt: skip
