"""The words that a person would type for a verb with its parameters, made of its command. Runs nothing of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click


def typed(verb: str, command: click.Command, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The command line of `verb`: options first, so that arguments may begin with a dash behind a `--`."""
    options: list[str] = []
    arguments: list[str] = []
    for param in command.params:
        given = _values(param, parameters.get(param.name or ""))
        if isinstance(param, click.Option):
            options += [word for value in given for word in _option(param, value)]
        else:
            arguments += map(str, given)
    dashed = any(word.startswith("-") for word in arguments)
    return (*verb.split(), *options, *(("--",) if dashed else ()), *arguments)


def _values(param: click.Parameter, value: Any) -> tuple[Any, ...]:
    """What is typed one after the other: the values of an argument, or of each time that an option is given."""
    if value is None:
        return ()
    is_many = param.multiple if isinstance(param, click.Option) else param.nargs != 1
    return tuple(value) if is_many else (value,)


def _option(option: click.Option, value: Any) -> Iterator[str]:
    """A flag is typed alone, and one that is off only where it has a word for that."""
    if not option.is_flag:
        yield from (max(option.opts, key=len), *map(str, value if option.nargs != 1 else (value,)))
    elif value is False:
        yield from option.secondary_opts[:1]
    elif value in (True, option.flag_value):
        yield max(option.opts, key=len)
