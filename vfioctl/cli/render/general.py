"""Views of a line or two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def version(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"vfioctl {data['version']}"


def script(data: Mapping[str, Any]) -> Iterator[str]:
    """A completion script, as it is."""
    yield str(data["script"]).rstrip("\n")
