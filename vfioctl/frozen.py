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
ATOMS = (str, int, float, bool, type(None))  # of which most of a plan is made
SEQUENCES = (list, tuple)


class Field:
    """One field: its name, and what it is when nothing is given."""

    def __init__(self, name: str, default: Any, factory: Any) -> None:
        self.name = name
        self.default = default
        self.factory = factory


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
        made = object.__new__(type(given))
        known = made.__dict__
        known.update(given.__dict__)
        known.update(changes)
        if len(known) != len(given.__dict__):
            _refuse_arguments(type(given).__name__, tuple(given.__dict__), (), changes)
        return made

    def asdict(given):
        """`given` as a dictionary, with all that it holds."""
        return {name: _plain(value) for name, value in given.__dict__.items()}

    def _plain(value):
        if isinstance(value, ATOMS):
            return value
        if isinstance(value, dict):
            return {key: _plain(item) for key, item in value.items()}
        if isinstance(value, SEQUENCES):
            return type(value)(map(_plain, value))
        return asdict(value) if hasattr(value, "__frozen_fields__") else value


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
    form = {name: spec if spec.factory else spec.default for name, spec in known.items()}
    is_open = [item for item in form.items() if item[1] is NEEDED or known[item[0]].factory]
    cls.__frozen_form__, cls.__frozen_open__ = form, is_open  # type: ignore[attr-defined]
    for name, method in METHODS.items():
        setattr(cls, name, method)
    return cls


def _init(self: Any, *args: Any, **values: Any) -> None:
    form = self.__frozen_form__
    known = self.__dict__
    known.update(form)
    if args:
        known.update(zip(form, args, strict=False))
    known.update(values)
    if len(known) != len(form) or len(args) > len(form) or (args and values):
        _refuse_arguments(type(self).__name__, tuple(form), args, values)
    for name, value in self.__frozen_open__:
        if known[name] is value:
            known[name] = _missing(type(self).__name__, name, value)


def _refuse_arguments(owner: str, names: tuple[str, ...], args: tuple[Any, ...], values: dict[str, Any]) -> None:
    """Raise TypeError where one of the arguments is too many."""
    if len(args) > len(names):
        raise TypeError(f"{owner} takes {len(names)} fields, not {len(args)}")
    if twice := sorted(values.keys() & names[: len(args)]):
        raise TypeError(f"{owner} got {', '.join(twice)} twice")
    if unknown := sorted(values.keys() - set(names)):
        raise TypeError(f"{owner} has no field {', '.join(unknown)}")


def _missing(owner: str, name: str, value: Any) -> Any:
    if value is NEEDED:
        raise TypeError(f"{owner} needs {name}")
    return value.factory()


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
