"""The rows of commands in static data and entry points: checked, and made for the manifest. Not on the hook path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.plugin.types import PluginCommand, PluginGroup

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from typing import Any

    from vfioctl.plugin.types import PluginInfo

EFFECTS = ("read", "change", "destroy")
COMMAND_KEYS = {"name", "help", "target", "view", "effect", "terminal"}
ROWS: tuple[tuple[str, set[str], tuple[str, ...]], ...] = (
    ("command", COMMAND_KEYS, ("help", "target")), ("group", {"name", "help"}, ("help",)),
    ("operation", {"name", "target"}, ("target",)),
)  # fmt: skip
MOST_WORDS = 3
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def declared(info: PluginInfo, data: Mapping[str, Any]) -> tuple[PluginCommand, ...]:
    """The rows `[[command]]` of a plugin's static data, which has been checked."""
    return tuple(PluginCommand(**row, plugin=info.name, distribution=info.distribution) for row in data["command"])


def groups(data: Mapping[str, Any]) -> tuple[PluginGroup, ...]:
    """The rows `[[group]]` of a plugin's static data."""
    return tuple(PluginGroup(**row) for row in data["group"])


def of_entry_point(entry: EntryPoint, infos: Iterable[PluginInfo]) -> PluginCommand:
    """The row of a command of API 1; its line of help is what its distribution says of itself."""
    distribution = entry.dist.name if entry.dist else ""
    owner = next((info.name for info in infos if info.distribution == distribution), distribution)
    summary = (entry.dist.metadata["Summary"] if entry.dist else "") or "A command of a plugin."
    return PluginCommand(
        entry.name, summary, entry.value, plugin=owner, distribution=distribution, prints=True,
    )  # fmt: skip


def in_order(commands: Iterable[PluginCommand]) -> tuple[PluginCommand, ...]:
    """By plugin, each in its own order; what a plugin declares in both ways counts once, by its row."""
    found: dict[tuple[str, str], PluginCommand] = {}
    for command in sorted(commands, key=lambda command: (command.plugin, command.prints)):
        found.setdefault((command.plugin, command.name), command)
    return tuple(found.values())


# ---------------------------------------------------------------- what may be declared


def problems(data: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the rows `[[command]]`, `[[group]]` and `[[operation]]`, in sentences."""
    for key, keys, needed in ROWS:
        rows = data.get(key, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            yield f"{key} must be tables [[{key}]]"
            continue
        for number, row in enumerate(rows, 1):
            yield from _row_problems(f"{key} {row.get('name', number)!r}", row, keys, needed)
        names = [row.get("name") for row in rows]
        yield from (f"{key} {name!r} stands there twice" for name in names if names.count(name) > 1)


def _row_problems(what: str, row: Mapping[str, Any], keys: set[str], needed: Iterable[str]) -> Iterator[str]:
    if unknown := sorted(row.keys() - keys):
        yield f"{what} has the unknown key {unknown[0]}"
    if not _is_name(row.get("name")):
        yield f"{what}: name must be one to {MOST_WORDS} words of small letters, digits and dashes, noun first"
    for key in needed:
        if not isinstance(row.get(key), str) or not row[key].strip() or not row[key].isprintable():
            yield f"{what}: {key} must be one line of text"
    for key in ("target", "view"):
        if key in row and not _is_target(row[key]):
            yield f'{what}: {key} must be "module:attribute"'
    if row.get("effect", EFFECTS[0]) not in EFFECTS:
        yield f"{what}: effect must be one of {', '.join(EFFECTS)}"
    if not isinstance(row.get("terminal", False), bool):
        yield f"{what}: terminal must be true or false"


def _is_name(name: object) -> bool:
    words = name.split(" ") if isinstance(name, str) else []
    return 0 < len(words) <= MOST_WORDS and all(word[:1].isalpha() and set(word) <= LETTERS for word in words)


def _is_target(text: object) -> bool:
    module, colon, attribute = text.partition(":") if isinstance(text, str) else ("", "", "")
    return bool(colon) and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))
