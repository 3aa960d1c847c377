"""A verb with its parameters as data, for doors that are no terminal. Imports the verb, runs nothing of it."""

from __future__ import annotations

from typing import Any

import click

from vfioctl.errors import VfioctlError
from vfioctl.verbs.load import load
from vfioctl.verbs.row import Row

PLAIN = (str, int, float, bool)


def described(row: Row) -> dict[str, Any] | None:
    """What `verb list` says of the verb; None when it is hidden. One that cannot be loaded has `error`."""
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
    ctx = click.Context(command, info_name=row.name, resilient_parsing=True)
    visible = (param for param in command.params if param.expose_value and not getattr(param, "hidden", False))
    return {**shown, "parameters": [_parameter(param, ctx) for param in visible]}


def _parameter(param: click.Parameter, ctx: click.Context) -> dict[str, Any]:
    """One parameter; `name` is the key in a mapping of parameters, `flags` how it is typed."""
    return {
        "name": param.name,
        "kind": param.param_type_name,
        "flags": [*param.opts, *param.secondary_opts] if isinstance(param, click.Option) else [],
        "type": param.type.name,
        "required": param.required,
        "default": _plain(param.get_default(ctx, call=False)),
        "choices": list(map(str, param.type.choices)) if isinstance(param.type, click.Choice) else [],
        "multiple": bool(getattr(param, "multiple", False)) or param.nargs != 1,
        "help": getattr(param, "help", None) or "",
    }


def _plain(value: object) -> Any:
    """A default as JSON has it; one that is only known when the verb runs is none."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, PLAIN) else None
