"""The rooms of vfioctl and who imports whom, read from the source: for the picture in docs/explanation/house.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from reference import ROOT

PACKAGE = ROOT / "vfioctl"
GROUND = "ground"
EDGE = ("compose", "doors", "entry", "hook", "run")  # single files with a place of their own
ASIDE = ("codes", "testing")  # data of the reference; the test kit, which stands beside the house

Arrows = dict[str, frozenset[str]]


def _room(module: str) -> str:
    """The room that `module` ("vfioctl.txn.engine") is in."""
    name = module.split(".")[1]
    return name if name in EDGE or (PACKAGE / name).is_dir() else GROUND


def _imported(tree: ast.AST) -> Iterator[str]:
    """Every module of ours that is named by an import, in functions and for types too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _module(path: Path) -> str:
    return ".".join(("vfioctl", *path.relative_to(PACKAGE).with_suffix("").parts))


def rooms() -> frozenset[str]:
    """Every room that may import another."""
    return frozenset(_room(_module(path)) for path in PACKAGE.rglob("*.py")).difference(ASIDE)


@cache
def arrows() -> Arrows:
    """Room → the rooms that it imports."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        own = _room(_module(path))
        if own not in ASIDE:
            ours = (name for name in _imported(ast.parse(path.read_text())) if name.startswith("vfioctl."))
            found.setdefault(own, set()).update(_room(name) for name in ours)
    return {room: frozenset(others - {room, *ASIDE}) for room, others in found.items()}


def below(room: str) -> frozenset[str]:
    """Everything that `room` stands on. Raises RecursionError where two rooms import each other."""
    return arrows()[room].union(*map(below, arrows()[room]))


def picture() -> str:
    """The house as a Mermaid flowchart: an arrow for each import that no longer way over other rooms implies."""
    lines = ["flowchart TD"]
    for room, others in sorted(arrows().items()):
        nearest = (other for other in others if not any(other in below(between) for between in others))
        lines += [f"    {room} --> {other}" for other in sorted(nearest)]
    return "\n".join(lines)
