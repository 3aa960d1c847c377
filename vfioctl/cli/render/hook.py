"""`vfioctl hook`: what was put in place or removed, and whether the hook fires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def view(data: Mapping[str, Any]) -> Iterator[str]:
    """Each changed and each kept path on its line."""
    if "fires" in data:
        yield f"{data['hook']}: {'nothing would stop it from firing' if data['fires'] else 'it would not fire'}."
        return
    changed, kept = data["changed"], data["kept"]
    done = "would be changed, with what belongs to it" if data["dry_run"] else "changed"
    yield f"{data['hook']}: {done if changed else 'everything was as it should be'}."
    yield from (f"  {path}" for path in changed)
    yield from (f"  kept: {path}" for path in kept)


def removed(data: Mapping[str, Any]) -> Iterator[str]:
    """Each removed and each kept path on its line."""
    gone, would = data["changed"], "would be " if data["dry_run"] else ""
    yield f"{data['hook']}: {f'{would}removed, with what belongs to it' if gone else 'nothing was installed'}."
    yield from (f"  {path}" for path in gone)
    yield from (f"  kept: {path}" for path in data["kept"])
