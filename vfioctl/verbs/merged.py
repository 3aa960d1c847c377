"""The built-in verbs and those of the plugins as one; a name that is taken is left out and named. Imports no plugin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from vfioctl.verbs.row import Group, Row, Verbs

OURS = "vfioctl"
# First words that entry.py takes before there is any verb: libvirt calls the hook, the others are parts of our own.
RESERVED = ("deadman", "finish", "hook", "run")


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
    taken = _Taken()
    for row in built_in.rows:
        taken.add(row)
    clashes = []
    for row in sorted(added, key=lambda row: row.plugin):
        if kept := _reserved(row.name) or taken.by(row.name):
            clashes.append(Clash(row, kept))
        else:
            taken.add(row)
    return Verbs(tuple(taken.rows.values()), (*built_in.groups, *groups)), tuple(clashes)


def _reserved(name: str) -> Row | None:
    word = name.partition(" ")[0]
    return Row(word, "", "") if word in RESERVED else None


class _Taken:
    """The rows that stay, by name, and the first one in each group: each start of the command line asks."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.groups: dict[str, Row] = {}

    def add(self, row: Row) -> None:
        self.rows[row.name] = row
        for group in _groups(row.name):
            self.groups.setdefault(group, row)

    def by(self, name: str) -> Row | None:
        """Who has the name, is a group that it would be in, or is in a group of that name."""
        return next((self.rows[one] for one in (name, *_groups(name)) if one in self.rows), self.groups.get(name))


def _groups(name: str) -> list[str]:
    """The groups that `name` is in: "a b" and "a" of "a b c"."""
    words = name.split(" ")
    return [" ".join(words[:end]) for end in range(len(words) - 1, 0, -1)]
