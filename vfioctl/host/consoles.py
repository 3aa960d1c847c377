"""vtconsole back-ends, to be matched by name: their numbers vary between boots. Reads only.

Whether one is bound the kernel says under the console lock, which is one for all of them: while somebody's write hangs
with it, that read hangs too, and SIGKILL does not end it. So a detached child reads it, with a deadline.
"""

from __future__ import annotations

import os

from vfioctl.host.model import VtConsole
from vfioctl.host.overrides import DEADLINE
from vfioctl.host.readers import GONE, entries, text
from vfioctl.host.stuck import read_stuck
from vfioctl.kernel_io import StuckRead, Writer
from vfioctl.paths import Paths


def read_all(writer: Writer, paths: Paths, deadline: float = DEADLINE) -> tuple[VtConsole, ...]:
    """Every vtconsole back-end that says its name. After one that hangs no further one is read."""
    base = paths.at("sys/class/vtconsole")
    named = [(entry, name) for entry in entries(base) if (name := text(os.path.join(base, entry, "name")))]
    stuck = any(read_stuck(paths, entry) for entry, _ in named)
    found = []
    for entry, name in named:
        bound = False
        try:
            bound = not stuck and is_bound(writer, os.path.join(base, entry), deadline)
        except StuckRead:
            stuck = True
        found.append(VtConsole(entry, name, bound, stuck))
    return tuple(found)


def is_bound(writer: Writer, directory: str, deadline: float = DEADLINE) -> bool:
    """Whether the console in `directory` is bound; one that is gone is not. Raises StuckRead."""
    try:
        return writer.look(os.path.join(directory, "bind"), deadline=deadline) == "1"
    except OSError as error:
        if error.errno in GONE:
            return False
        raise
