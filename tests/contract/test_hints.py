"""Every command that a message, a hint or a page of the documentation names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from vfioctl.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"(?:\bwith: |\bsee: |\bSee: |`|\$ |\bOr: )vfioctl ((?:[a-z]+ ?){1,2})")
KNOWN = {entry.name: {child.name for child in entry.children} for entry in COMMANDS}
SOURCES = sorted([*ROOT.glob("vfioctl/**/*.py"), *ROOT.glob("plugins/*/vfioctl_*/*.py")])
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md"), ROOT / "README.md"])


def exists(words: str) -> bool:
    first, _, second = words.strip().partition(" ")
    return first in KNOWN and (not KNOWN[first] or not second or second in KNOWN[first])


def strings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def wrong(texts: Iterator[str]) -> list[str]:
    return [found for text in texts for found in NAMED.findall(text) if not exists(found)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_messages_name_only_commands_that_exist(path: Path) -> None:
    assert wrong(strings(path)) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_name_only_commands_that_exist(path: Path) -> None:
    assert wrong(iter([path.read_text()])) == []


def test_the_search_finds_a_command_that_does_not_exist() -> None:
    assert wrong(iter(["See it with: vfioctl gpu lst", "`vfioctl frobnicate`"])) == ["gpu lst", "frobnicate"]
