"""What every row of a table of known faults must have: somebody must be able to check it."""

from __future__ import annotations

import re
from typing import Protocol

import pytest

SOURCE = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+")
NO_SOURCES = (
    "", "seen on a forum", "https://gitlab.freedesktop.org/drm/amd",
    "https://github.com/NVIDIA/open-gpu-kernel-modules",
)  # fmt: skip


class Row(Protocol):
    @property
    def first(self) -> str: ...

    @property
    def what(self) -> str: ...

    @property
    def source(self) -> str: ...


def check_row(row: Row) -> None:
    """Raise AssertionError for a row that nobody could check."""
    assert SOURCE.fullmatch(row.source), f"{row.first}: a row needs the address of an issue or a pull request"
    assert row.what
    assert re.fullmatch(r"\d+(\.\d+)*", row.first)


def rejects(row: Row) -> bool:
    """Whether `check_row` finds fault with it."""
    with pytest.raises(AssertionError):
        check_row(row)
    return True
