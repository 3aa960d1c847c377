"""A verb with its parameters as data, for doors that are no terminal. Imports the verb, runs nothing of it."""

from __future__ import annotations

from enum import Enum
from typing import Any

import click

from vfioctl import guard
from vfioctl.errors import VfioctlError
from vfioctl.verbs.load import load
from vfioctl.verbs.row import Row

PLAIN = (str, int, float, bool)


def described(row: Row) -> dict[str, Any] | None:
    """What `verb list` says of the verb; None when it is hidden. One that cannot be loaded or described has `error`."""
    shown: dict[str, Any] = {
        "name": row.name, "help": row.help, "effect": row.effect, "plugin": row.plugin,
        "terminal_only": not row.is_open, "parameters": [], "error": None,
    }  # fmt: skip
    try:
        command = load(row)
    except VfioctlError as error:
        return {**shown, "error": {"code": error.code, "message": error.message}}
    if row.hidden or command.hidden:
        return None
    called = guard.call(lambda: _parameters(row, command))
    if called.error:
        why = f"The parameters of {row.name!r} cannot be described: {called.problem}."
        return {**shown, "error": {"code": "plugin.command_broken", "message": why}}
    return {**shown, "parameters": called.value}


def _parameters(row: Row, command: click.Command) -> list[dict[str, Any]]:
    ctx = click.Context(command, info_name=row.name, resilient_parsing=True)
    visible = (param for param in command.params if param.expose_value and not getattr(param, "hidden", False))
    return [_parameter(param, ctx) for param in visible]


def _parameter(param: click.Parameter, ctx: click.Context) -> dict[str, Any]:
    """One parameter; `name` is the key in a mapping of parameters, `flags` how it is typed."""
    choices = tuple(param.type.choices) if isinstance(param.type, click.Choice) else ()
    return {
        "name": param.name,
        "kind": param.param_type_name,
        "flags": [*param.opts, *param.secondary_opts] if isinstance(param, click.Option) else [],
        "type": param.type.name,
        "required": param.required,
        "default": _plain(param.get_default(ctx, call=False), choices),
        "choices": list(map(_typed, choices)),
        "multiple": bool(getattr(param, "multiple", False)) or param.nargs != 1,
        "help": getattr(param, "help", None) or "",
    }


def _plain(value: object, choices: tuple[Any, ...]) -> Any:
    """A default as JSON has it; one that is only known when the verb runs is none."""
    if isinstance(value, list | tuple):
        return [_plain(item, choices) for item in value]
    if isinstance(value, Enum) and value in choices:
        return _typed(value)
    return value if isinstance(value, PLAIN) else None


def _typed(choice: object) -> str:
    """A choice as it is typed: click takes one of an Enum by its name."""
    return choice.name if isinstance(choice, Enum) else str(choice)
