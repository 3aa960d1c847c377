"""What the engine asks of an operation: whether its plan may be obeyed, and how it is ended. Knows none by name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError

if TYPE_CHECKING:
    from typing import Any, Protocol

    from vfioctl.files import Lock
    from vfioctl.paths import Paths
    from vfioctl.txn.plan import Plan
    from vfioctl.txn.settling import Case, Settling
else:
    Protocol = object

# Lies above this room; each operation is imported when a plan of it is met.
REGISTER = f"{__name__.partition('.')[0]}.operations"


class Operation(Protocol):
    """A sort of operation. One that is not installed leaves its plans to what they say themselves (`unfinished`)."""

    def problem(self, plan: Plan) -> str:
        """Why `plan` is not to be obeyed, as far as the subject and the notes go; "" when it may be."""

    def upgraded(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """A plan that an earlier schema wrote, as this one has it. Raises KeyError, TypeError, ValueError."""

    def lock(self, paths: Paths, key: str) -> Lock:
        """The lock of one of them, in its words; without this it is resources.operation_lock."""

    def settle(self, case: Case) -> Settling:
        """How one of them is ended without its process; without this by what its plan says."""


def find(name: str) -> Operation | None:
    """The operation called `name`; None for one that is not installed."""
    modules: Mapping[str, str] = importlib.import_module(REGISTER).MODULES
    module: Any = importlib.import_module(modules[name]) if name in modules else None
    found: Operation | None = module
    return found


def upgraded(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A plan without a name of its operation, as this schema has it. Raises KeyError, TypeError, ValueError."""
    wrote = find(importlib.import_module(REGISTER).UNNAMED)
    return wrote.upgraded(data) if wrote else data


def lock_of(paths: Paths, key: str) -> Lock | None:
    """The lock of the operation `key`, as its sort has it; None where it has neither a journal nor a process.

    Where nothing tells its sort, it is that of the one without a name.
    """
    from vfioctl.txn.journal import read_both
    from vfioctl.txn.resources import operation_lock

    name = importlib.import_module(REGISTER).UNNAMED
    try:
        if story := read_both(paths, key):
            name = story.plan.operation
        elif not os.path.exists(paths.key_lock(key)):
            return None
    except VfioctlError:
        pass  # who reads it under the lock says why
    known: Any = find(name)
    made: Lock = getattr(known, "lock", operation_lock)(paths, key)
    return made


def settling(case: Case) -> Settling:
    """How the operation of `case` is ended: as its sort says where that is installed, else as its plan says."""
    known: Any = find(case.story.plan.operation)
    made: Settling = getattr(known, "settle", case.node.settling)(case)
    return made
