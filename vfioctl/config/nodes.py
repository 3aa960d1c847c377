"""The nodes of this installation: `local`, and a file below /etc/vfioctl/nodes for each other. Connects to none."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.config.source import Problem, Source, read_source
from vfioctl.unknown import no_such
from vfioctl.virt.nodes import LOCAL, Node, problem

if TYPE_CHECKING:
    from vfioctl.paths import Paths

SUFFIX = ".toml"
KEYS = ("uri", "labels", "cordoned")


def nodes(paths: Paths) -> tuple[Node, ...]:
    """`local`, then the others by name. Raises ConfigError for a file that is wrong, Refused("config.writable")."""
    return (LOCAL, *(read(paths, name) for name in names(paths)))


def names(paths: Paths) -> tuple[str, ...]:
    """The names of the nodes that have a file."""
    try:
        found = os.listdir(paths.nodes)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX) and name[0] != "."))


def find(paths: Paths, word: str) -> Node:
    """The node that `word` names: its name, or a URI. Raises Refused("node.unknown"), ("node.uri"), ConfigError."""
    if word in ("", LOCAL.name):
        return LOCAL
    if "://" in word:
        return _of_uri(paths, word)
    known = names(paths)
    if word not in known:
        refused = no_such("node.unknown", f"There is no node {word!r}", word, (LOCAL.name, *known), "The nodes")
        refused.hints = (*refused.hints, f"A node is a file in {paths.nodes}, with uri = \"qemu+ssh://HOST/system\".")
        raise refused
    return read(paths, word)


def read(paths: Paths, name: str) -> Node:
    """The node whose file is `name`.toml. Raises ConfigError naming the file and the line."""
    source = read_source(os.path.join(paths.nodes, f"{name}{SUFFIX}"), paths.root)
    if isinstance(source, Problem):
        raise source.error()
    for found in _problems(source, mock=paths.root != "/"):
        raise found.error()
    data = source.data
    return Node(name, data["uri"], dict(data.get("labels", {})), cordoned=data.get("cordoned", False))


def _of_uri(paths: Paths, uri: str) -> Node:
    if said := problem(uri, mock=paths.root != "/"):
        raise no_such("node.uri", said, uri, (), "")
    return next((node for node in nodes(paths) if node.uri == uri), Node("", uri))


def _problems(source: Source, *, mock: bool) -> Iterator[Problem]:
    data: Mapping[str, Any] = source.data
    for key in data:
        if key not in KEYS:
            yield source.problem("config.unknown", key, f"there is no such key; expected {', '.join(KEYS)}")
    uri = data.get("uri")
    if not isinstance(uri, str):
        yield source.problem("config.type", "uri", "expected the URI of a libvirt daemon")
    elif said := problem(uri, mock=mock):
        yield source.problem("config.type", "uri", said)
    labels = data.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        yield source.problem("config.type", "labels", "expected a table of texts")
    if not isinstance(data.get("cordoned", False), bool):
        yield source.problem("config.type", "cordoned", "expected true or false")
