"""What is said of one stable code. Lists none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Code(NamedTuple):
    """A stable code of an error or a finding, what it means, what to do, and what `vfioctl doctor CODE` adds."""

    code: str
    meaning: str
    remedy: str
    at_length: str = ""


def declared(row: Mapping[str, str]) -> Code:
    """The code of a row `[[code]]` in a plugin's static file."""
    return Code(row["name"], row["meaning"], row["remedy"], " ".join(row.get("at_length", "").split()))
