"""What the engine asks of an operation: whether its plan may be obeyed. Finds it by name; knows none itself."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Protocol

    from vfioctl.txn.plan import Plan
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
