"""`@frozen`: immutable dataclasses that cost the hook path little. Knows nothing of what they hold.

`@dataclass(frozen=True)` compiles six methods a class. Here they are shared, and who uses the standard library's
`fields`, `replace` and `asdict` on such classes pays for it then. A plain dataclass below, with no method of its own
(`init`, `eq` and `repr` off), was tried: 6 ms more in a hook that imports 60 of them.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import asdict, field, fields, replace
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T")

__all__ = ["asdict", "field", "fields", "frozen", "replace"]

NEEDED = object()


class Field:
    """One field: its name, and what it is when nothing is given."""

    def __init__(self, name: str, default: Any, factory: Any) -> None:
        self.name = name
        self.default = default
        self.factory = factory

    def value(self, owner: str) -> Any:
        """The value when none was given."""
        if self.factory:
            return self.factory()
        if self.default is NEEDED:
            raise TypeError(f"{owner} needs {self.name}")
        return self.default


if not TYPE_CHECKING:

    def dataclass_transform(**_):
        """What a type checker alone reads."""
        return lambda function: function

    def field(*, default=NEEDED, default_factory=None, **_):
        """A field's default, as `dataclasses.field` takes it."""
        return Field("", default, default_factory)

    def fields(kind):
        """The fields of a frozen class or of an instance."""
        return tuple(kind.__frozen_fields__.values())

    def replace(given, /, **changes):
        """A copy of `given` with some fields changed."""
        return type(given)(**{**given.__dict__, **changes})

    def asdict(given):
        """`given` as a dictionary, with all that it holds."""
        return {name: _plain(value) for name, value in given.__dict__.items()}

    def _plain(value):
        if hasattr(value, "__frozen_fields__"):
            return asdict(value)
        if isinstance(value, dict):
            return {key: _plain(item) for key, item in value.items()}
        return type(value)(map(_plain, value)) if isinstance(value, list | tuple) else value


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """`cls` as an immutable dataclass: compared, hashed and shown by its fields."""
    known: dict[str, Field] = dict(getattr(cls, "__frozen_fields__", {}))
    for name in cls.__dict__.get("__annotations__", ()):  # noqa: RUF063 -- inspect is what this does without
        given = cls.__dict__.get(name, NEEDED)
        if isinstance(given, Field):
            known[name] = Field(name, given.default, given.factory)
            delattr(cls, name)
        else:
            known[name] = Field(name, given, None)
    cls.__frozen_fields__ = known  # type: ignore[attr-defined]
    for name, method in METHODS.items():
        setattr(cls, name, method)
    return cls


def _init(self: Any, *args: Any, **values: Any) -> None:
    wanted = self.__frozen_fields__
    if len(args) > len(wanted):
        raise TypeError(f"{type(self).__name__} takes {len(wanted)} fields, not {len(args)}")
    given = dict(zip(wanted, args, strict=False))
    if twice := given.keys() & values.keys():
        raise TypeError(f"{type(self).__name__} got {', '.join(sorted(twice))} twice")
    given.update(values)
    known = self.__dict__
    for name, spec in wanted.items():
        known[name] = given.pop(name) if name in given else spec.value(type(self).__name__)
    if given:
        raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(given))}")


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
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"{type(self).__name__}.{name} cannot be changed")


class _StandardFields:
    """`__dataclass_fields__`, made when the standard library asks for it."""

    def __get__(self, _instance: object, owner: Any) -> dict[str, Any]:
        import dataclasses

        made: Any = dataclasses.make_dataclass(owner.__name__, list(owner.__frozen_fields__))
        return dict(made.__dataclass_fields__)


METHODS = {
    "__init__": _init, "__eq__": _eq, "__hash__": _hash, "__repr__": _repr,
    "__setattr__": _refuse, "__delattr__": _refuse, "__dataclass_fields__": _StandardFields(),
}  # fmt: skip
