"""How a simulated program answers: text, errors and a status, as a line of sh that the caller's stub evaluates."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    out: str = ""
    err: str = ""
    status: int = 0
    run: tuple[str, ...] = ()  # a real program that takes the stub's place

    def as_sh(self) -> str:
        """The sh text that prints and exits as this reply says."""
        parts = []
        if self.out:
            parts.append(f"printf '%s' {shlex.quote(self.out)}")
        if self.err:
            parts.append(f"printf '%s' {shlex.quote(self.err)} >&2")
        parts.append(f"exec {shlex.join(self.run)}" if self.run else f"exit {self.status}")
        return "\n".join(parts) + "\n"


def table(rows: Sequence[Sequence[str]], right: tuple[int, ...] = ()) -> str:
    """Columns as wide as their widest cell, the ones in `right` to the right; the last is not padded."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))] if rows else []
    last = len(widths) - 1
    return "".join(
        " ".join(
            cell.rjust(width) if n in right else cell if n == last else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ) + "\n" for row in rows
    )  # fmt: skip


HANGS = Reply(run=("sleep", "1000000"))  # in user space: SIGKILL ends it


@dataclass(frozen=True, slots=True)
class Arguments:
    """A command line: options with their values, and the rest. Short and long names are the caller's business."""

    options: tuple[tuple[str, str], ...]
    words: tuple[str, ...]

    def has(self, *names: str) -> bool:
        return any(name in names for name, _ in self.options)

    def value(self, *names: str) -> str | None:
        """The last value given to one of `names`."""
        return next((value for name, value in reversed(self.options) if name in names), None)

    def values(self, *names: str) -> tuple[str, ...]:
        """Every value given to one of `names`, split at commas."""
        return tuple(part for name, value in self.options if name in names for part in value.split(","))


def parse(argv: Sequence[str], *, valued: tuple[str, ...], stop_at_word: bool = False) -> Arguments:
    """Split `argv`; options in `valued` take a value, attached or as the next word. With `stop_at_word` the first
    word begins another command line."""
    options: list[tuple[str, str]] = []
    words: list[str] = []
    todo = list(argv)
    while todo:
        word = todo.pop(0)
        if word == "--":
            words += todo
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            if stop_at_word:
                words += todo
                break
        elif word.startswith("--"):
            name, given, value = word.partition("=")
            options.append((name, value if given or name not in valued else todo.pop(0) if todo else ""))
        elif word[:2] in valued:
            options.append((word[:2], word[2:] or (todo.pop(0) if todo else "")))
        else:
            options += [(f"-{letter}", "") for letter in word[1:]]
    return Arguments(tuple(options), tuple(words))
