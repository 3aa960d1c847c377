"""Parameters that take turns: some cases run each time, each of the others when the seed of a shard draws it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def in_turn(cases: Iterable[Any], *, always: Iterable[Any]) -> list[Any]:
    """`cases` for parametrize, as many values each as it has; all but those of `always` are marked `matrix`.

    For what costs a process or a wait and differs little from case to case. Raises ValueError when `always` is no part.
    """
    cases, always = list(cases), list(always)
    if strangers := [case for case in always if case not in cases]:
        raise ValueError(f"no cases: {strangers}")
    return [pytest.param(*_values(case), marks=() if case in always else pytest.mark.matrix) for case in cases]


def _values(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)
