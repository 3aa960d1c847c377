"""The nodes of this installation: `local`, and a file below /etc/vfioctl/nodes for each other. Connects to none.

`local` needs no file; with one it has labels, or is cordoned.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.config.source import Problem, Source, read_source
from vfioctl.errors import VfioctlError
from vfioctl.frozen import replace
from vfioctl.unknown import no_such
from vfioctl.virt.nodes import LOCAL, Node, problem

if TYPE_CHECKING:
    from vfioctl.paths import Paths

SUFFIX = ".toml"
KEYS = ("uri", "labels", "cordoned")


def each(paths: Paths) -> Iterator[tuple[str, Node | VfioctlError]]:
    """`local`, then the others by name. A file that is wrong, or not to be obeyed, is an error in place of its node."""
    for name in names(paths):
        try:
            yield name, read(paths, name)
        except VfioctlError as error:
            yield name, error


def names(paths: Paths) -> tuple[str, ...]:
    """`local`, then the names of the others that have a file."""
    try:
        found = os.listdir(paths.nodes)
    except (FileNotFoundError, NotADirectoryError):
        found = []
    others = {name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX) and name[0] != "."}
    return (LOCAL.name, *sorted(others - {LOCAL.name}))


def file_of(paths: Paths, name: str) -> str:
    """The path of the file of the node `name`."""
    return os.path.join(paths.nodes, f"{name}{SUFFIX}")


def find(paths: Paths, word: str) -> Node:
    """The node that `word` names: its name, or a URI. Raises Refused("node.unknown"), ("node.uri"), ConfigError."""
    if "://" in word:
        return _of_uri(paths, word)
    return read(paths, named(paths, word or LOCAL.name))


def named(paths: Paths, name: str) -> str:
    """`name`, which must be that of a node. Raises Refused("node.unknown") with the nearest."""
    known = names(paths)
    if name not in known:
        refused = no_such("node.unknown", f"There is no node {name!r}", name, known, "The nodes")
        refused.hints = (*refused.hints, "Add one with: vfioctl node add NAME qemu+ssh://HOST/system")
        raise refused
    return name


def read(paths: Paths, name: str) -> Node:
    """The node whose file is `name`.toml. Raises ConfigError naming the file and the line."""
    source = read_source(file_of(paths, name), paths.root)
    if isinstance(source, Problem):
        raise source.error()
    checked(source, name, mock=paths.root != "/")
    data = source.data
    made = Node(name, data.get("uri", LOCAL.uri))
    return replace(made, labels=dict(data.get("labels", {})), cordoned=data.get("cordoned", False))


def checked(source: Source, name: str, *, mock: bool) -> None:
    """Raise ConfigError for what is wrong first in the file of the node `name`."""
    for found in _problems(source, name, mock=mock):
        raise found.error()


def _of_uri(paths: Paths, uri: str) -> Node:
    if said := problem(uri, mock=paths.root != "/"):
        raise no_such("node.uri", said, uri, (), "")
    return next((node for _, node in each(paths) if isinstance(node, Node) and node.uri == uri), Node("", uri))


def _problems(source: Source, name: str, *, mock: bool) -> Iterator[Problem]:
    data: Mapping[str, Any] = source.data
    for key in data:
        if key not in KEYS:
            yield source.problem("config.unknown", key, f"there is no such key; expected {', '.join(KEYS)}")
    uri = data.get("uri", LOCAL.uri if name == LOCAL.name else None)
    if not isinstance(uri, str):
        yield source.problem("config.type", "uri", "expected the URI of a libvirt daemon")
    elif said := problem(uri, mock=mock):
        yield source.problem("config.type", "uri", said)
    elif name == LOCAL.name and uri != LOCAL.uri:
        yield source.problem("config.value", "uri", f"the node {name} is this host, {LOCAL.uri}")
    labels = data.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        yield source.problem("config.type", "labels", "expected a table of texts")
    if not isinstance(data.get("cordoned", False), bool):
        yield source.problem("config.type", "cordoned", "expected true or false")
