"""Finds what our texts tell people to type, and asks the click tree whether that exists."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import click
from reference import SHIPPED

from vfioctl.cli.app import root_group
from vfioctl.verbs.merged import merged
from vfioctl.verbs.table import BUILT_IN

VERBS = merged(BUILT_IN, SHIPPED.rows, SHIPPED.groups)[0]  # those of the plugins that are made here as well

UNKNOWN = "X"  # stands for what is only known when the message is made
# A command to type stands in backticks, behind a dollar or sudo, in a block of shell, and in messages behind a colon;
# what else begins a line is a command only if it begins like one.
TYPED = re.compile(r"(?P<before>`|: |\$ |sudo |^ *)(?:/opt/vfioctl/bin/)?vfioctl(?P<rest> [^`\n|&>#]*)?")
ENDS_AT = re.compile(r"[.,;)](?= |$)| {2,}|\"|, | \(| or | and |…|$")
COMMAND_NAMES = {entry.name for entry in VERBS.below()}
SHELL = ("sh", "shell", "console", "bash")


@dataclass(frozen=True)
class Hint:
    """A command that `place` names."""

    place: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place}: vfioctl {' '.join(self.words)}"


def in_source(path: Path) -> Iterator[Hint]:
    """The commands in the strings of a Python file; f-strings with X for each value."""
    tree = ast.parse(path.read_text())
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(v.value) if isinstance(v, ast.Constant) else UNKNOWN for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            text = node.value
        else:
            continue
        for line in text.split("\n"):
            yield from _hints(line, f"{path.name}:{node.lineno}", sure=("`", ": ", "$ ", "sudo "))


def in_text(path: Path) -> Iterator[Hint]:
    """The commands in a page or a script."""
    fence = "sh" if path.suffix in (".sh", ".in") else ""
    for line in path.read_text().split("\n"):
        if line.lstrip().startswith("```"):
            fence = "" if fence else line.strip().removeprefix("```") or "text"
        elif fence in SHELL:
            yield from _hints(line, path.name, sure=("`", "$ ", "sudo ", ""))
        else:
            yield from _hints(line, path.name, sure=("`", "$ ", "sudo "))


def _hints(line: str, place: str, *, sure: tuple[str, ...]) -> Iterator[Hint]:
    for found in TYPED.finditer(line):
        before, rest = found["before"].lstrip(), found["rest"] or ""
        if found["before"] != "`":
            rest = rest[: end.start() if (end := ENDS_AT.search(rest)) else None]
        words = tuple(_words(rest))
        if found["before"] in sure or before in sure or (words and words[0] in COMMAND_NAMES):
            yield Hint(place, words)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text.rstrip(" .,;:"))
    except ValueError:  # a lone apostrophe: prose
        return text.split()


def problem(hint: Hint) -> str:
    """Why the command cannot be typed, or nothing. "…", "|" in a first word and the like are prose about several."""
    command: click.Command = root_group()
    words = list(hint.words)
    if not words or words[0].isupper():
        return ""
    context = click.Context(command, info_name="vfioctl", obj=SimpleNamespace(verbs=VERBS, found=VERBS, unread=""))
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        if name in (UNKNOWN, "…", "..."):
            return ""
        found = command.get_command(context, name)
        if found is None:
            return f"there is no command {name!r}"
        command, context = found, click.Context(found, parent=context, info_name=name)
    return _wrong_arguments(command, context, [word.strip("[]") for word in words if word not in ("…", "...")])


def _wrong_arguments(command: click.Command, context: click.Context, words: list[str]) -> str:
    try:
        _, left, _ = command.make_parser(context).parse_args(words)
    except click.UsageError as error:
        return error.format_message()
    return f"it takes no {left[0]!r}" if left else ""
