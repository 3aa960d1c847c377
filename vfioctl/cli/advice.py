"""What is said of a command line that hands have typed by habit: our option, or our verb, for another program's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vfioctl.cli import words

if TYPE_CHECKING:
    from vfioctl.verbs.row import Verbs


def advised(error: click.ClickException, argv: Sequence[str], verbs: Verbs) -> click.ClickException:
    """The same error with our words in it, where `argv` has those of another program."""
    if isinstance(error, click.NoSuchOption):
        return _other_option(error)
    extra = "extra argument" in error.message and argv[0] == "list"
    meant = words.listed(argv[1], verbs) if extra else ""
    if meant and isinstance(error, click.UsageError):
        said = f'`list` has the guests that vfioctl hands devices to; did you mean "{meant}"?'
        return click.UsageError(said, error.ctx)
    return error


def _other_option(error: click.NoSuchOption) -> click.UsageError:
    """Without hidden options; what other programs call otherwise has another name here."""
    params = error.ctx.command.params if error.ctx else []
    hidden = {name for param in params if getattr(param, "hidden", False) for name in param.opts}
    known = {name for param in params for name in param.opts} - hidden
    near = [name for name in error.possibilities or () if name not in hidden]
    verb = error.ctx.command_path if error.ctx else ""
    meant, said = words.option(verb, error.option_name, known)
    if said:
        return click.UsageError(f"No such option: {error.option_name}. {said}", error.ctx)
    return click.NoSuchOption(error.option_name, possibilities=[meant] if meant else near, ctx=error.ctx)
