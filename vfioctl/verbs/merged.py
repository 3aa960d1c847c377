"""The built-in verbs and those of the plugins as one; a name that is taken is left out and named. Imports no plugin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from vfioctl.verbs.row import Group, Row, Verbs

OURS = "vfioctl"


class Clash(NamedTuple):
    """A command of a plugin that is left out, and the verb that has its name or needs it as a group."""

    lost: Row
    kept: Row

    @property
    def why(self) -> str:
        """Who has the name."""
        return f"{self.kept.plugin or OURS} has {self.kept.name!r}"

    def __str__(self) -> str:
        return f"The command {self.lost.name!r} of the plugin {self.lost.plugin} is left out: {self.why}."


def merged(
    built_in: Verbs, added: Iterable[Row], groups: Iterable[Group] = ()
) -> tuple[Verbs, tuple[Clash, ...]]:
    """What there is, and what is left out. Built-in verbs come first, then plugins by name: the first one stays."""
    rows = list(built_in.rows)
    clashes = []
    for row in sorted(added, key=lambda row: row.plugin):
        if kept := next((other for other in rows if _collide(other.name, row.name)), None):
            clashes.append(Clash(row, kept))
        else:
            rows.append(row)
    return Verbs(tuple(rows), (*built_in.groups, *groups)), tuple(clashes)


def _collide(one: str, other: str) -> bool:
    """Whether both are the same, or one is a group that the other is in."""
    return f"{one} ".startswith(f"{other} ") or f"{other} ".startswith(f"{one} ")
