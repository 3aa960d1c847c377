"""Views of a line or two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def messages_only(_: Mapping[str, Any]) -> Iterator[str]:
    """Nothing: the result's messages say all of it."""
    yield from ()


def version(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"vfioctl {data['version']}"


def script(data: Mapping[str, Any]) -> Iterator[str]:
    """A completion script, as it is; nothing of one that was put in its place."""
    if not data["file"]:
        yield str(data["script"]).rstrip("\n")
