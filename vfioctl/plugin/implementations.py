"""Finds the hooks in a plugin's module by their marks, as pluggy's register does; importing pluggy takes a hook 8 ms.

pluggy stays the judge: a contract test holds both against each other, and `plugins refresh` registers with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import frozen
from vfioctl.plugin import spec
from vfioctl.plugin.markers import IMPLEMENTS

if TYPE_CHECKING:
    from typing import Any

PREFIX = "vfioctl_"


class SignatureError(TypeError):
    """A hook asks for an argument that it is not called with."""


@frozen
class Implementation:
    """One function of a plugin that answers `hook`, and the facts that it takes."""

    hook: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]


def find(module: ModuleType) -> tuple[Implementation, ...]:
    """The hooks that `module` implements; what it marks under an unknown name is left out. Raises SignatureError."""
    return tuple(_checked(hook, function) for hook, function in _marked(module) if hook in HOOKS)


def misspelt(module: ModuleType) -> tuple[str, ...]:
    """Names in `module` that look like hooks and are none, or are hooks without the mark."""
    functions = {name for name, value in vars(module).items() if _is_function(value) and name.startswith(PREFIX)}
    marked = {name for name in functions if hasattr(getattr(module, name), IMPLEMENTS)}
    return tuple(sorted(functions - (marked & HOOKS.keys())))


def _marked(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, value in vars(module).items():
        mark = getattr(value, IMPLEMENTS, None) if callable(value) and not isinstance(value, type) else None
        if isinstance(mark, dict):
            yield mark.get("specname") or name, value


def _checked(hook: str, function: Callable[..., Any]) -> Implementation:
    arguments = arguments_of(function)
    if strange := [name for name in arguments if name not in HOOKS[hook]]:
        known = ", ".join(HOOKS[hook]) or "nothing"
        raise SignatureError(f"{hook} takes {', '.join(strange)}; it is called with {known}")
    return Implementation(hook, function, arguments)


def arguments_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """The arguments without a default, as pluggy counts them: one that is bound already is left out."""
    bound = hasattr(function, "__self__")
    plain: Any = getattr(function, "__func__", function)
    while hasattr(plain, "__wrapped__"):
        plain = plain.__wrapped__
    code = getattr(plain, "__code__", None)
    if code is None:
        return _by_signature(function)
    names = code.co_varnames[: code.co_argcount - len(plain.__defaults__ or ())]
    return tuple(names[1:] if bound else names)


def _by_signature(function: Callable[..., Any]) -> tuple[str, ...]:
    import inspect  # only for what is no Python function

    found = inspect.signature(function).parameters.values()
    return tuple(each.name for each in found if each.kind <= each.POSITIONAL_OR_KEYWORD and each.default is each.empty)


def _is_function(value: object) -> bool:
    return hasattr(value, "__code__")


HOOKS = {name: arguments_of(value) for name, value in vars(spec).items() if name.startswith(PREFIX)}
