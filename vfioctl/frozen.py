"""`@frozen`: immutable dataclasses that cost the hook path little. Knows nothing of what they hold.

`@dataclass(frozen=True)` compiles six methods a class, 0.46 ms each on the machine that measured it, and the hook path
has sixty such classes: a third of its start-up. Here the methods are shared, and `fields`, `replace` and `asdict` of
the standard library go on working.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, field
from typing import Any, TypeVar, dataclass_transform

__all__ = ["field", "frozen"]

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """`cls` as an immutable dataclass: compared, hashed and shown by its fields."""
    made = dataclass(init=False, repr=False, eq=False, match_args=False)(cls)
    for name, method in METHODS.items():
        setattr(made, name, method)
    return made


def _init(self: Any, *args: Any, **values: Any) -> None:
    fields = self.__dataclass_fields__
    if len(args) > len(fields):
        raise TypeError(f"{type(self).__name__} takes {len(fields)} fields, not {len(args)}")
    given = dict(zip(fields, args, strict=False))
    if twice := given.keys() & values.keys():
        raise TypeError(f"{type(self).__name__} got {', '.join(sorted(twice))} twice")
    given.update(values)
    known = self.__dict__
    for name, spec in fields.items():
        known[name] = given.pop(name) if name in given else _default(self, name, spec)
    if given:
        raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(given))}")


def _default(self: Any, name: str, spec: Any) -> Any:
    if spec.default is not MISSING:
        return spec.default
    if spec.default_factory is not MISSING:
        return spec.default_factory()
    raise TypeError(f"{type(self).__name__} needs {name}")


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(self.__dict__.values())


def _eq(self: Any, other: object) -> bool:
    return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
    return f"{type(self).__qualname__}({shown})"


def _refuse(self: Any, name: str, *_: object) -> None:
    raise FrozenInstanceError(f"{type(self).__name__}.{name} cannot be changed")


METHODS = {
    "__init__": _init, "__eq__": _eq, "__hash__": _hash, "__repr__": _repr,
    "__setattr__": _refuse, "__delattr__": _refuse,
}  # fmt: skip
