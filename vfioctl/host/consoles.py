"""vtconsole back-ends, to be matched by name: their numbers vary between boots. Reads only."""

from __future__ import annotations

import os

from vfioctl.host.model import VtConsole
from vfioctl.host.readers import entries, flag, text
from vfioctl.paths import Paths


def read_all(paths: Paths) -> tuple[VtConsole, ...]:
    """Every vtconsole back-end that says its name."""
    base = paths.at("sys/class/vtconsole")
    found = []
    for entry in entries(base):
        name = text(os.path.join(base, entry, "name"))
        if name:
            found.append(VtConsole(entry, name, bool(flag(os.path.join(base, entry, "bind")))))
    return tuple(found)
