"""What the data of a step must look like before anybody obeys it: forms of values, and tables of them. Pure.

A journal is a file: what a power cut, a full disk or another version has left of it is not what was planned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import frozen, replace

if TYPE_CHECKING:
    from typing import Any

LONGEST_NAME = 255  # bytes, NAME_MAX
LONGEST_WAIT = 7 * 24 * 3600.0
LATEST = 1e11  # seconds since the epoch: in the year 5138
SHOWN = 60
UUID_GROUPS = [8, 4, 4, 4, 12]  # digits
HEXADECIMAL = frozenset("0123456789abcdef")


@frozen
class Form:
    """A value that `fits`, and what it is in words. One that is not `needed` may be absent."""

    words: str
    fits: Callable[[Any], bool]
    needed: bool = True


class Shape:
    """An object by its keys."""

    def __init__(self, **forms: Form) -> None:
        self.forms = forms

    def problem(self, data: Any) -> str:
        """What is wrong with `data`, in words; "" for nothing. Keys that nobody knows are passed over."""
        if not isinstance(data, Mapping):
            return f"it is {shown(data)}, not an object"
        for key, form in self.forms.items():
            if key not in data:
                if form.needed:
                    return f"{key} is missing"
            elif not form.fits(data[key]):
                return f"{key} is {shown(data[key])}, not {form.words}"
        return ""


def shown(value: Any) -> str:
    """`value` in a sentence, shortened."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def is_uuid(value: Any) -> bool:
    """Whether it is written as libvirt writes a UUID: five groups of hexadecimal digits, in small letters."""
    groups = value.split("-") if isinstance(value, str) else []
    return [len(group) for group in groups] == UUID_GROUPS and HEXADECIMAL.issuperset("".join(groups))


def is_name(value: Any) -> bool:
    """Whether it is one component of a path, and no option where it becomes a program's argument."""
    return is_text(value) and 0 < len(value) <= LONGEST_NAME and "/" not in value and value[0] not in "-."


def is_absolute(value: Any) -> bool:
    """Whether it is a path from the root that leads nowhere else: no "..", which would leave its place."""
    return is_text(value) and value.startswith("/") and ".." not in value.split("/")


def is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST_WAIT


def is_number(value: Any) -> bool:
    """Whether it is a number that can be reckoned with: no NaN, nothing beyond all time."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -LATEST < value < LATEST


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_unit(value: Any) -> bool:
    return is_text(value) and 0 < len(value) <= LONGEST_NAME and "/" not in value


def _is_program(value: Any) -> bool:
    """Whether it is looked for in the PATH of the system, or has a place of its own: nothing of where we are."""
    return is_absolute(value) or is_name(value)


def _is_argv(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and _is_program(value[0]) and all(map(is_text, value))


def optional(form: Form) -> Form:
    """The same, but it may be absent."""
    return replace(form, needed=False)


def maybe(form: Form) -> Form:
    """The same, or null."""
    return Form(f"{form.words} or null", lambda value: value is None or form.fits(value))


def empty_or(form: Form) -> Form:
    """The same, or the empty text."""
    return Form(f"{form.words}, or nothing", lambda value: value == "" or form.fits(value))


def many(form: Form) -> Form:
    """A list of such values."""
    return Form(
        f"a list, each {form.words}", lambda value: isinstance(value, list | tuple) and all(map(form.fits, value))
    )


def table(keys: Form, values: Form) -> Form:
    """An object whose keys and values look so."""

    def fits(value: Any) -> bool:
        return isinstance(value, Mapping) and all(map(keys.fits, value)) and all(map(values.fits, value.values()))

    return Form(f"an object of {keys.words} and {values.words}", fits)


def one_of(*words: str) -> Form:
    """One of these words."""
    return Form(" or ".join(words), lambda value: isinstance(value, str) and value in words)


TEXT = Form("a text", is_text)
UUID = Form("a UUID in small letters", is_uuid)
FLAG = Form("true or false", lambda value: isinstance(value, bool))
COUNT = Form("a whole number", _is_count)
PID = Form("the id of a process", lambda value: _is_count(value) and value > 0)
NAME = Form("a name without a slash", is_name)
UNIT = Form("the name of a unit", _is_unit)
ABSOLUTE = Form('an absolute path without ".."', is_absolute)
PROGRAM = Form("a program by its name or absolute path", _is_program)
ARGV = Form("a program with its arguments", _is_argv)
