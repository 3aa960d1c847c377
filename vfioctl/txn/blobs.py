"""Content that a plan names and does not hold: one private file for each, beside the journals on disk. Knows no step.

A blob lives until the journal that names it is closed. Each store makes its own: nobody ends another one's.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused, StepFailed
from vfioctl.frozen import frozen
from vfioctl.txn.journal import open_uuids
from vfioctl.txn.shape import Form

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.paths import Paths
    from vfioctl.txn.plan import Plan

LARGEST = 64 << 20  # bytes
NAME = re.compile(r"\b[0-9a-f]{64}\.[0-9a-f]{16}\b")  # the sha256 of its content, and what makes it unique
PLANNED = 24 * 3600.0  # seconds for which a plan may wait for its begin


@frozen
class Blob:
    """`size` in bytes."""

    name: str
    size: int


def is_name(value: Any) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


BLOB = Form("the name of a blob", is_name)


def new_name(content: bytes) -> str:
    """A name for `content` that no other blob has."""
    return f"{_checksum(content)}.{os.urandom(8).hex()}"


def _checksum(content: bytes) -> str:
    from hashlib import sha256  # OpenSSL costs 3 ms, and a completion keeps nothing

    return sha256(content).hexdigest()


def sha256(name: str) -> str:
    """The checksum of the content of the blob `name`."""
    return name.partition(".")[0]


def store(paths: Paths, content: bytes, name: str = "") -> Blob:
    """Keep `content`, durably and for our user alone. Raises OSError and Refused("blob.too_large"): nothing is kept.

    A file that is cut off by a crash has another checksum than its name says, so that it is never read.
    """
    if len(content) > LARGEST:
        raise Refused("blob.too_large", f"Content of {len(content)} bytes is too large to lie beside a journal.")
    name = name or new_name(content)
    path = _path(paths, name)
    files.make_private_dir(paths.blobs)
    fd = files.create(path)
    try:
        files.write_all(fd, content)
        os.fsync(fd)
    except BaseException:
        files.remove(path)
        raise
    finally:
        os.close(fd)
    files.sync_dir(paths.blobs)
    return Blob(name, len(content))


def read(paths: Paths, name: str) -> bytes:
    """The content of the blob `name`. Raises StepFailed: "blob.missing", "blob.damaged"."""
    path = _path(paths, name)
    try:
        content = files.read_bytes(path, limit=LARGEST)
    except FileNotFoundError as error:
        said = f"The content that the plan names is not there: {path}."
        raise StepFailed("blob.missing", said, hints=("Plan it once more.",)) from error
    if _checksum(content) != sha256(name):
        raise StepFailed("blob.damaged", f"The content in {path} is not what was planned.")
    return content


def is_there(paths: Paths, name: str) -> bool:
    return os.path.lexists(_path(paths, name))


def drop(paths: Paths, *names: str) -> None:
    """Remove these blobs, and their directory with the last one. Raises OSError."""
    for name in names:
        files.remove(_path(paths, name))
    try:
        os.rmdir(paths.blobs)
    except OSError:
        return  # others are in it, or it is gone


def drop_of(paths: Paths, plan: Plan) -> None:
    """Remove every blob that `plan` names: its journal is closed. Raises OSError."""
    drop(paths, *_names_of(plan))


def of(paths: Paths, plan: Plan) -> tuple[str, ...]:
    """Where each blob lies that `plan` names and that is there."""
    return tuple(_path(paths, name) for name in dict.fromkeys(_names_of(plan)) if is_there(paths, name))


def _names_of(plan: Plan) -> Iterable[str]:
    return _named(json.dumps([[dict(step.params), dict(step.baseline)] for step in plan.all_steps()]))


def sweep(paths: Paths) -> tuple[str, ...]:
    """Remove the blobs that no open journal names, but those of a plan that may still begin; returns their names."""
    try:
        kept = [name for name in os.listdir(paths.blobs) if is_name(name)]
    except FileNotFoundError:
        return ()
    named = {name for text in _journals(paths) for name in _named(text)}
    orphans = tuple(name for name in kept if name not in named and _age(_path(paths, name)) > PLANNED)
    drop(paths, *orphans)
    return orphans


def _named(text: str) -> Iterable[str]:
    return NAME.findall(text)


def _journals(paths: Paths) -> Iterator[str]:
    """What the open journals say, damaged ones too."""
    for uuid in open_uuids(paths):
        for path in (paths.boot_journal(uuid), paths.disk_journal(uuid)):
            yield files.read_text(path) or ""


def _age(path: str) -> float:
    try:
        return time.time() - os.lstat(path).st_mtime
    except FileNotFoundError:
        return 0.0


def _path(paths: Paths, name: str) -> str:
    return os.path.join(paths.blobs, name)
