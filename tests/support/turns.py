"""What takes turns: some cases and families run each time, each of the others when the seed of a shard draws it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

# Of ring 2: the hand-off, and of every system its first way. The other modules of tests/libvirt take turns.
EACH_TIME = (
    "beside_operations", "failing_starts", "first_guest", "guest_create", "guest_life", "handoff", "hook_contract",
    "kinds", "network_verbs", "no_libvirt", "pid_file", "snapshot_verbs", "storage_verbs", "together", "virt",
    "whole_life",
)  # fmt: skip

# Of tests/security: what takes longest, most of it since one test at a time waits for something that does not answer.
IN_TURN = (
    "deaf_manager", "holder_scan", "index", "names", "unanswered", "unanswered_files", "unanswered_pools", "undo_open",
    "waits", "who_is_qemu",
)  # fmt: skip


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
