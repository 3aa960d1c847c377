"""The lines of configuration files, without comments. What is absent or unreadable has none; never writes."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl import files
from vfioctl.errors import Irregular
from vfioctl.frozen import frozen
from vfioctl.host.readers import entries
from vfioctl.paths import Paths

LARGEST = 1 << 20


@frozen
class Line:
    """One line of a file that says something: `place` is "/etc/x.conf:3", `text` has no comment and no outer blanks."""

    place: str
    text: str


def lines(paths: Paths, path: str) -> Iterator[Line]:
    """What the file `path`, written as on the host, says. A backslash at the end does not join lines here."""
    try:
        data = files.read_bytes(paths.at(path), follow=True, limit=LARGEST)
    except (OSError, Irregular):
        return  # not there, or not for this user to read: doctor says so once
    for number, text in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if bare := text.partition("#")[0].strip():
            yield Line(f"/{path}:{number}", bare)


def lines_below(paths: Paths, directory: str, suffix: str = ".conf") -> Iterator[Line]:
    """What the files in `directory` whose name ends in `suffix` say, in the order of their names."""
    for name in entries(paths.at(directory)):
        if name.endswith(suffix):
            yield from lines(paths, os.path.join(directory, name))
