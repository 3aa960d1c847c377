"""The row of a verb, and the verbs of one installation. Imports no command."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A verb that is not imported yet; `target` and `view` are "module:attribute"."""

    name: str  # noun, then verb, as it is typed: "gpu list"
    help: str
    target: str
    view: str = ""  # makes text of the data; without one a generic view does
    effect: str = "read"  # read, change or destroy: what a caller has to ask, log and authorise
    hidden: bool = False  # left out of help, completion and `verb list`
    plugin: str = ""  # who brings it; "" for a built-in verb
    prints: bool = False  # a plugin's command of API 1: it may print by itself and give back a status
    terminal: bool = False  # needs a terminal: a person at it, or one that a session takes over

    @property
    def is_open(self) -> bool:
        """Whether doors other than the terminal have it."""
        return not (self.hidden or self.terminal or self.prints)


class Group(NamedTuple):
    """The words that begin the names of several verbs."""

    name: str
    help: str


class Verbs(NamedTuple):
    """Every verb, in the order of --help. Groups come from the names; `groups` only says what they are for."""

    rows: tuple[Row, ...]
    groups: tuple[Group, ...] = ()

    def find(self, name: str) -> Row | None:
        """The verb `name`."""
        return next((row for row in self.rows if row.name == name), None)

    def below(self, path: str = "") -> tuple[Row | Group, ...]:
        """The verbs and groups right below the group `path`, "" for all, each group where its first verb is."""
        found: dict[str, Row | Group] = {}
        for row in self.rows:
            if not path or row.name.startswith(f"{path} "):
                rest = row.name.removeprefix(path).split()
                name = f"{path} {rest[0]}".strip()
                found.setdefault(name, row if len(rest) == 1 else self._group(name, row))
        return tuple(found.values())

    def _group(self, name: str, first: Row) -> Group:
        return next((group for group in self.groups if group.name == name), Group(name, first.help))


def last_word(entry: Row | Group) -> str:
    """The word that is typed for `entry` inside of its group."""
    return entry.name.rpartition(" ")[2]
