"""An operation that is no hand-off: settings are written and set aside, and a program makes a menu of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from operation_host import OperationHost

from vfioctl.txn import blobs

STEPS = ("back", "own", "settings", "old", "menu")
BOUNDARIES = tuple(range(1, 2 * len(STEPS) + 1))
CHROOT = '#!/bin/sh\nROOT=$1; export ROOT\nexec "$1/usr/bin/$4"\n'
MENU = """#!/bin/sh
for file in settings old own; do
    [ -e "$ROOT/srv/$file" ] && while read -r line; do echo "$line"; done <"$ROOT/srv/$file"
done >"$ROOT/srv/menu"
:
"""


class GeneratedHost(OperationHost):
    """The directory that is a host, and one operation on the settings of its menu."""

    name = "menu set"
    ours = ("srv/own",)

    def furnish(self) -> None:
        for name, text in (("chroot", CHROOT), ("menu", MENU)):
            program = self.root / "usr/bin" / name
            program.write_text(text)
            program.chmod(0o755)
        for name in ("settings", "old"):
            (self.root / "srv" / name).write_text(f"{name}\n")
        (self.root / "srv/old").chmod(0o640)
        (self.root / "srv/menu").write_text("settings\nold\n")

    def wishes(self) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        own, settings = (blobs.store(self.node.paths, text) for text in (b"own\n", b"new\n"))
        old = hashlib.sha256(b"old\n").hexdigest()
        return (
            ("back", "generated.refresh", {"argv": ["menu"], "back": True}),
            ("own", "file.write", {"path": "/srv/own", "blob": own.name, "size": own.size}),
            ("settings", "file.write", {
                "path": "/srv/settings", "blob": settings.name, "size": settings.size, "replace": True,
            }),
            ("old", "file.set_aside", {"path": "/srv/old", "sha256": old}),
            ("menu", "generated.refresh", {"argv": ["menu"]}),
        )  # fmt: skip
