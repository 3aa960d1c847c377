"""The one name of the hooks, and the decorators that plugins import. Imports nothing.

They leave the marks of pluggy's own markers, so `pluggy.HookimplMarker("vfioctl")` does as well in a plugin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

NAME = "vfioctl"
SPEC_MARK = f"{NAME}_spec"
IMPL_MARK = f"{NAME}_impl"

F = TypeVar("F", bound=Callable[..., Any])


def hookspec(function: F) -> F:
    """Mark `function` as the specification of a hook."""
    setattr(function, SPEC_MARK, {})
    return function


def hookimpl(function: F) -> F:
    """Mark `function` as a plugin's implementation of the hook of its name."""
    setattr(function, IMPL_MARK, {})
    return function
