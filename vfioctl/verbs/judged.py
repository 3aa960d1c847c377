"""The verbs of an installation, and for each command of a plugin whether it can be run. Imports the plugins' code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vfioctl.errors import VfioctlError
from vfioctl.plugin import manifest
from vfioctl.result import Message
from vfioctl.verbs import listed
from vfioctl.verbs.load import load, load_view
from vfioctl.verbs.merged import Clash, merged
from vfioctl.verbs.table import BUILT_IN

if TYPE_CHECKING:
    from vfioctl.plugin.manifest import Manifest
    from vfioctl.verbs.row import Row, Verbs

Commands = Mapping[str, Sequence[Mapping[str, Any]]]


def verbs_of(found: Manifest) -> tuple[Verbs, tuple[Clash, ...]]:
    """Every verb there is with those plugins, and which of theirs are left out since the name is taken."""
    added = listed.of(manifest.to_json(found))
    return merged(BUILT_IN, added.rows, added.groups)


def commands(found: Manifest) -> Commands:
    """The commands by plugin, in the order of --help, each with its `status`; those that are left out come last."""
    verbs, clashes = verbs_of(found)
    shown: dict[str, list[Mapping[str, Any]]] = {}
    for row, status in (
        *((row, _status(row)) for row in verbs.rows if row.plugin),
        *((clash.lost, f"left out: {clash.why}") for clash in clashes),
    ):
        one = {"name": row.name, "help": row.help, "effect": row.effect, "target": row.target, "status": status}
        shown.setdefault(row.plugin, []).append(one)
    return shown


def _status(row: Row) -> str:
    try:
        load(row)
        load_view(row)
    except VfioctlError as error:
        return f"broken: {error.message}"
    return "ok"


def messages(found: Manifest, commands: Commands) -> Iterator[Message]:
    """What is wrong with `commands`: names that are taken, targets that cannot be imported."""
    yield from (Message(str(clash), "warning", "plugin.command_clash") for clash in verbs_of(found)[1])
    states = (row["status"].partition(": ") for rows in commands.values() for row in rows)
    broken = (why for state, _, why in states if state == "broken")
    yield from (Message(text, "warning", "plugin.command_broken") for text in (*broken, *found.left_out))
