"""What is behind a row, imported now. A plugin's code is judged before it is imported."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import click

from vfioctl.errors import Refused, VfioctlError
from vfioctl.verbs.row import Row

if TYPE_CHECKING:
    from vfioctl.result import Result

OURS = "vfioctl."
SHARED = frozenset({"--format", "--no-color", "--root"})  # what the terminal's door adds to every verb


def load(row: Row) -> click.Command:
    """The command that `row` stands for. Raises VfioctlError("plugin.command_broken") when it cannot be imported.

    A plugin's is judged first, since the manifest was written at another time: Refused of the same code.
    """
    found: click.Command = _imported(row, row.target, "command", click.Command)
    if why := "" if row.prints else unsuited(found):
        raise _broken(row, row.target, "command", why)
    return found


def unsuited(command: click.Command) -> str:
    """Why not every door can ask for `command`, or ""; a verb is for all of them."""
    if isinstance(command, click.Group):
        return "it is a group of commands, and a row names one"
    return next(filter(None, map(_unsuited, command.params)), "")


def _unsuited(param: click.Parameter) -> str:
    named = "/".join(param.opts) or str(param.name)
    if getattr(param, "prompt", None):
        return f"{named} asks by itself (prompt=); call.need_agreement does"
    if param.envvar:
        return f"{named} reads the environment (envvar=)"
    if isinstance(param.type, click.File):
        return f"{named} opens a file while the command line is read (click.File)"
    if not isinstance(getattr(param.type, "name", None), str):
        return f"{named} has a type without a name ({type(param.type).__name__}.name)"
    if taken := SHARED.intersection([*param.opts, *param.secondary_opts]):
        return f"{', '.join(sorted(taken))} is an option of every verb"
    return ""


def given_back(row: Row, body: Callable[[], object]) -> Result:
    """What `body`, the command of `row`, gives back. Raises VfioctlError("plugin.command_broken") for no good Result.

    A command ends no process: that may be a server's, or libvirt's hook.
    """
    try:
        ended = body()
    except SystemExit as error:
        raise _gave(row, "no Result: it calls sys.exit") from error
    except click.exceptions.Exit as error:
        raise _gave(row, "no Result: it calls ctx.exit") from error
    if why := _misfit(row, ended):
        raise _gave(row, why)
    return cast("Result", ended)


def _misfit(row: Row, ended: object) -> str:
    """Why no door can show `ended`, or ""."""
    from vfioctl.result import Error, Message, Result

    if not isinstance(ended, Result):
        return f"{type(ended).__name__}, no Result"
    if ended.session and not row.terminal:
        return "a session for a terminal, and its row does not say terminal = true"
    if not isinstance(ended.data, Mapping):
        return f"a Result whose data is {type(ended.data).__name__}, no mapping"
    if not _are(Message, ended.messages) or not _are(Error, ended.errors):
        return "a Result whose messages are not all of the type Message, or whose errors are not all of the type Error"
    return ""


def _are(kind: type, items: object) -> bool:
    return isinstance(items, tuple | list) and all(isinstance(item, kind) for item in items)


def _gave(row: Row, what: str) -> VfioctlError:
    whose = f"the plugin {row.plugin}" if row.plugin else "vfioctl"
    return VfioctlError(
        "plugin.command_broken", f"The command {row.name!r} of {whose} gave back {what}.",
        state="What it does may be done.", hints=("Report it to the plugin's author.",),
    )  # fmt: skip


def load_view(row: Row) -> Any:
    """The function that makes text of what the verb gives back; None where the generic view does. Raises as `load`."""
    return _imported(row, row.view, "view", None) if row.view else None


def _imported(row: Row, target: str, what: str, expected: type | None) -> Any:
    module, _, attribute = target.partition(":")
    if module.startswith(OURS):
        return _checked(getattr(importlib.import_module(module), attribute), expected)
    from vfioctl import guard  # --help loads no command of a plugin

    _must_be_safe(row, module)
    called = guard.call(lambda: _checked(getattr(importlib.import_module(module), attribute), expected))
    if error := called.error:
        hangs = isinstance(error, guard.Hung)
        why = f"its import {called.problem}" if hangs else str(error).rstrip(".") or type(error).__name__
        raise _broken(row, target, what, why) from error
    return called.value


def _broken(row: Row, target: str, what: str, why: str) -> VfioctlError:
    named = f"The command {row.name!r}" if what == "command" else f"The view of the command {row.name!r}"
    return VfioctlError(
        "plugin.command_broken",
        f"{named} of {row.plugin or 'a plugin'} ({target}) cannot be loaded: {why}.",
        hints=("See what is installed with: vfioctl plugins list",),
    )  # fmt: skip


def _must_be_safe(row: Row, module: str) -> None:
    from vfioctl.ownership import mended
    from vfioctl.package import culprit

    if found := culprit(module):
        hint = mended(found[0], "Install it where only root can write, as vfioctl itself.")
        raise Refused(
            "plugin.command_broken", f"The command {row.name!r} of {row.plugin or 'a plugin'} is not run: {found[1]}.",
            state="Nothing of it was imported.", hints=(hint,),
        )  # fmt: skip


def _checked(found: Any, expected: type | None) -> Any:
    if expected and not isinstance(found, expected):
        raise TypeError(f"{found!r} is not a click command")
    if not callable(found):
        raise TypeError(f"{found!r} cannot be called")
    return found
