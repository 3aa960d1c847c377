"""Views of the hook: what was installed or removed, and whether it fires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def view(data: Mapping[str, Any]) -> Iterator[str]:
    """What changed, or in one line that nothing had to; for `verify` whether the hook fires."""
    if "fires" in data:
        yield f"{data['hook']}: {'libvirt calls it' if data['fires'] else 'would not do its work'}"
        return
    for path in data["changed"]:
        yield f"changed  {path}"
    for path in data["kept"]:
        yield f"kept     {path}"
    if not data["changed"]:
        yield f"{data['hook']}: nothing to do"
