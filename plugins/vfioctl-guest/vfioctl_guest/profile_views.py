"""How profiles look on a terminal: lines made from the data and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vfioctl.plugin import Table


def listed(data: Mapping[str, Any]) -> Iterator[Table]:
    """A profile a line, with what it is for, and what it chooses."""
    rows = ((row["name"], row["description"] or "-", row["error"] or ", ".join(row["settings"]))
            for row in data["profiles"])  # fmt: skip
    yield Table(("name", "description", "chooses"), tuple(rows))


def shown(data: Mapping[str, Any]) -> Iterator[str]:
    """A profile, with a line for each choice."""
    yield f"{data['name']} ({data['file']})"
    if data["description"]:
        yield f"  {data['description']}"
    yield from choices(data["settings"])


def used(profile: Mapping[str, Any] | None) -> Iterator[str]:
    """What a new guest has from its profile; nothing for one without."""
    if profile:
        yield f"From the profile {profile['name']}:"
        yield from choices(profile["settings"])


def choices(settings: Mapping[str, Any]) -> Iterator[str]:
    """Each as it is typed, and where it stands."""
    widest = max((len(_typed(key, one["value"])) for key, one in settings.items()), default=0)
    for key, one in settings.items():
        yield f"  {_typed(key, one['value']):<{widest}}  {one['origin']}"


def _typed(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{key}" if value else f"--no-{key}"
    words = value if isinstance(value, (list, tuple)) else (value,)
    return " ".join(f"--{key} {word}" for word in words) or f"no --{key}"
