"""The implementations of hooks, found by their marks and checked against the specifications. Calls none.

What pluggy's manager would do, without its import: with `inspect` it costs more than the whole plan of a hand-off,
and its calls are of no use here, since each implementation is called alone and under a guard.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from vfioctl.frozen import frozen
from vfioctl.plugin import spec
from vfioctl.plugin.markers import IMPL_MARK, SPEC_MARK


class BadHookError(Exception):
    """A hook wants what nobody gives it."""


@frozen
class Implementation:
    """One plugin's function for a hook, and the facts that it takes."""

    plugin: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]


class Registry:
    """The implementations of each hook, by plugin."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Implementation]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The plugins that were registered."""
        return tuple(self._known)

    def register(self, module: ModuleType, name: str) -> None:
        """Take the marked functions of `module` as the plugin `name`. Raises BadHookError, and takes none then."""
        marked = {hook: made for hook, made in functions(module).items() if hook in SPECS and hasattr(made, IMPL_MARK)}
        self._known[name] = {hook: Implementation(name, made, _checked(hook, made)) for hook, made in marked.items()}

    def of(self, hook: str) -> tuple[Implementation, ...]:
        """Every implementation of `hook`, in order of plugin names."""
        return tuple(self._known[name][hook] for name in sorted(self._known) if hook in self._known[name])


def functions(module: ModuleType) -> dict[str, FunctionType]:
    """The functions in `module` by name."""
    return {name: value for name, value in vars(module).items() if isinstance(value, FunctionType)}


def arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the arguments without a default, of a decorated function those of the one inside."""
    inner: Any = function
    while hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    code = inner.__code__
    positional = code.co_varnames[: code.co_argcount]
    named = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    with_default = {*positional[len(positional) - len(inner.__defaults__ or ()) :], *(inner.__kwdefaults__ or {})}
    return tuple(name for name in (*positional, *named) if name not in with_default)


SPECS = {name: arguments(made) for name, made in functions(spec).items() if hasattr(made, SPEC_MARK)}


def _checked(hook: str, function: FunctionType) -> tuple[str, ...]:
    wanted = arguments(function)
    if unknown := sorted(set(wanted) - set(SPECS[hook])):
        known = ", ".join(SPECS[hook])
        raise BadHookError(f"{hook} has the argument {unknown[0]}, which no one gives; known are {known}")
    return wanted
