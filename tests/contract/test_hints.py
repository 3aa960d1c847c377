"""Every command that a message, a hint or a page of the documentation names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hints import VERBS

from vfioctl.verbs.row import last_word

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"(?:\bwith: |\bsee: |\bSee: |`|\$ |\bOr: )vfioctl ((?:[a-z]+(?:-[a-z]+)* ?){1,2})")
GUEST_NEXT = re.compile(
    r"(?:vfioctl (?:enable|disable|plan|status|recover|recover --abort|config get|config show)|virsh edit|--guest) $"
)
KNOWN = {entry.name: {last_word(child) for child in VERBS.below(entry.name)} for entry in VERBS.below()}
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


def unquoted(source: str) -> list[str]:
    """Commands that end in a name as it is: one with a blank or a leading dash could not be pasted into a shell."""
    found = []
    for text in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)):
        for before, value in pairwise(text.values):
            words = before.value if isinstance(before, ast.Constant) else ""
            if GUEST_NEXT.search(str(words)) and not (isinstance(value, ast.FormattedValue) and is_typed(value.value)):
                found.append(str(words))
    return found


def is_typed(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("argument", "word")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_messages_name_guests_as_they_are_typed(path: Path) -> None:
    assert unquoted(path.read_text()) == []


def test_the_search_finds_a_guest_that_is_not_quoted() -> None:
    assert unquoted('f"Pin it with: vfioctl enable {guest}"') == ["Pin it with: vfioctl enable "]
    assert unquoted('f"Pin it with: vfioctl enable {argument(guest)}"') == []


def test_the_search_finds_a_command_that_does_not_exist() -> None:
    assert wrong(iter(["See it with: vfioctl gpu lst", "`vfioctl frobnicate`"])) == ["gpu lst", "frobnicate"]
