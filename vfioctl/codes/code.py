"""What is said of one stable code. Lists none."""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """A stable code of an error or a finding, what it means, and what to do."""

    code: str
    meaning: str
    remedy: str
