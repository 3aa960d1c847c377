"""Writes, changes and removes the files of nodes; comments are kept. Connects to no node."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vfioctl import files
from vfioctl.config.edit import document, source_of
from vfioctl.config.nodes import checked, each, file_of, named, names
from vfioctl.config.store import write
from vfioctl.errors import Refused
from vfioctl.ownership import secure
from vfioctl.virt.nodes import LOCAL, Node, problem

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

    from vfioctl.paths import Paths

NOTHING_CHANGED = "Nothing was changed."
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
FORM = "letters, digits, '.', '_' and '-', beginning with a letter or a digit, 63 at most"


def new(paths: Paths, name: str, uri: str, labels: Mapping[str, str]) -> Node:
    """The node as it would be added. Raises Refused("node.name"), ("node.exists"), ("node.uri")."""
    if not NAME.fullmatch(name) or name.endswith(".toml"):
        raise Refused("node.name", f"{name!r} is no name of a node; expected {FORM}.", state=NOTHING_CHANGED)
    if name in names(paths):
        hints = () if name == LOCAL.name else (f"See it with: vfioctl node show {name}",)
        raise Refused("node.exists", f"There is a node {name!r} already.", state=NOTHING_CHANGED, hints=hints)
    if same := next((one.name for _, one in each(paths) if isinstance(one, Node) and one.uri == uri), ""):
        raise Refused(
            "node.exists", f"The node {same} has that URI already: {uri}.", state=NOTHING_CHANGED,
            hints=(f"See it with: vfioctl node show {same}",),
        )  # fmt: skip
    if said := problem(uri, mock=paths.root != "/"):
        raise Refused("node.uri", f"{said}.", state=NOTHING_CHANGED)
    return Node(name, uri, dict(labels))


def add(paths: Paths, node: Node) -> str:
    """Write the file of `node`; return its path. Raises Refused("config.writable"), OSError, with nothing written."""
    import tomlkit

    made = tomlkit.document()
    made["uri"] = node.uri
    made["cordoned"] = node.cordoned
    if node.labels:
        made["labels"] = dict(node.labels)
    return _put(paths, node.name, made)


def remove(paths: Paths, name: str) -> None:
    """Remove the file of the node `name`, whatever is in it. Raises Refused: "node.unknown", "node.local"; OSError."""
    file = file_of(paths, named(paths, name))
    if name == LOCAL.name:
        raise Refused("node.local", f"The node {name} is this host, and stays.", state=NOTHING_CHANGED)
    secure(file, paths.root)
    files.remove(file)
    files.sync_dir(os.path.dirname(file))


def cordon(paths: Paths, name: str, *, cordoned: bool) -> bool:
    """Set `cordoned` in the file of the node `name`; return whether that changed anything. Raises as `add`."""
    file = file_of(paths, named(paths, name))
    changed: Any = document(file)
    checked(source_of(file, changed), name, mock=paths.root != "/")
    if bool(changed.get("cordoned", False)) is cordoned:
        return False
    changed["cordoned"] = cordoned
    _put(paths, name, changed)
    return True


def _put(paths: Paths, name: str, changed: TOMLDocument) -> str:
    """Write what is right, and nothing else."""
    file = file_of(paths, name)
    checked(source_of(file, changed), name, mock=paths.root != "/")
    secure(file, paths.root)
    write(file, changed.as_string())
    return file
