"""A page of the documentation: the commands that it prints for a console, in their order, and what they have said."""

from __future__ import annotations

import re
from collections.abc import Iterable

BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
PROMPT = "$ "
# What apt says otherwise on a terminal, and each part of how far it is.
NOISE = re.compile(r"^\n?WARNING: apt does not have.*\n\n|^\(Reading database \.\.\. *(?:\d+%)?\n", re.MULTILINE)


def commands(page: str) -> list[str]:
    return [command for block in BLOCK.findall(page) for command in _typed(block)]


def answered(page: str, said: Iterable[tuple[str, str]]) -> str:
    """The page with what its commands have `said`: each with its answer, in order, but for those that had none."""
    left = list(said)

    def answer(command: str) -> str:
        return NOISE.sub("", left.pop(0)[1]) if left and left[0][0] == command else ""

    def block(found: re.Match[str]) -> str:
        parts = (f"{PROMPT}{command}\n{answer(command)}" for command in _typed(found[1]))
        return f"```console\n{''.join(parts)}```"

    return BLOCK.sub(block, page)


def _typed(block: str) -> list[str]:
    return [line.removeprefix(PROMPT) for line in block.split("\n") if line.startswith(PROMPT)]
