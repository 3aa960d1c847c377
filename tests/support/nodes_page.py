"""What docs/reference/nodes.md says of the verbs that take --node: which work on every node, and which here alone."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/reference/nodes.md"


def _verbs(row: str) -> frozenset[str]:
    """The verbs in the first cell of the row that begins with `row`."""
    text = PAGE.read_text().partition("## Here and elsewhere")[2].partition("\n## ")[0]
    cells = [cell for first, cell in map(_cells, text.splitlines()) if first == row]
    named = re.compile(r"`([a-z]+(?: [a-z-]+)+)`")
    return frozenset(verb for cell in cells for verb in named.findall(cell.partition(", and ")[0]))


def _cells(line: str) -> tuple[str, str]:
    first, second, *_ = (*line.removeprefix("|").split("|"), "")
    return first.strip(), second


ELSEWHERE, HERE_ALONE = _verbs("on every node"), _verbs("on its own node")
PARTLY = _verbs("as far as libvirt reaches")
