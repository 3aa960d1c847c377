"""JSON as QEMU reads it (qobject/json-lexer.c): text may stand in single quotes too. Knows no option."""

from __future__ import annotations

import json
import re

from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

QUOTED = re.compile(r"""(["'])((?:\\.|(?!\1)[^\\])*)(?:\1|\\?\Z)""", re.DOTALL)  # or to the end: each quote once
SPECIAL = re.compile(r'\\.|"', re.DOTALL)
STANDARD = {"\\'": "'", '"': '\\"'}


def read_object(text: str) -> dict[str, Any]:
    """The object that `text` is; an empty one where it is none."""
    try:
        said = json.loads(QUOTED.sub(_in_double_quotes, text) if "'" in text else text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _in_double_quotes(quoted: re.Match[str]) -> str:
    return '"' + SPECIAL.sub(lambda found: STANDARD.get(found[0], found[0]), quoted[2]) + '"'
