"""The one name of the hooks, and the decorators that plugins import: pluggy's marks without pluggy. Imports nothing.

pluggy finds a hook by the attribute PROJECT_impl, and a specification by PROJECT_spec. Its own
`pluggy.HookimplMarker("vfioctl")` sets the same, and serves a plugin as well.
"""

from __future__ import annotations

from collections.abc import Callable

from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TypeVar, overload

    F = TypeVar("F", bound=Callable[..., Any])

NAME = "vfioctl"
IMPLEMENTS = f"{NAME}_impl"
SPECIFIES = f"{NAME}_spec"


def hookspec(function: F) -> F:
    """Mark `function` as the specification of a hook."""
    setattr(function, SPECIFIES, {"firstresult": False, "historic": False})
    return function


if TYPE_CHECKING:

    @overload
    def hookimpl(function: F) -> F: ...
    @overload
    def hookimpl(
        *, specname: str | None = None, optionalhook: bool = False, tryfirst: bool = False, trylast: bool = False
    ) -> Callable[[F], F]: ...


def hookimpl(
    function: F | None = None, *, specname: str | None = None, optionalhook: bool = False, tryfirst: bool = False,
    trylast: bool = False,
) -> F | Callable[[F], F]:  # fmt: skip
    """Mark a function as the implementation of the hook of its name, or of `specname`.

    The other options are pluggy's, and change nothing: no order among plugins matters.
    """
    options = {"specname": specname, "optionalhook": optionalhook, "tryfirst": tryfirst, "trylast": trylast}

    def mark(function: F) -> F:
        setattr(function, IMPLEMENTS, dict(options))
        return function

    return mark if function is None else mark(function)
