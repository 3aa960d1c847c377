"""What is said of a command line that hands have typed by habit: our option, or our verb, for another program's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from vfioctl.cli import words

if TYPE_CHECKING:
    from vfioctl.verbs.row import Verbs


def advised(error: click.ClickException, argv: Sequence[str], verbs: Callable[[], Verbs]) -> click.ClickException:
    """The same error with our words in it, where `argv` has those of another program; `verbs` are looked for then."""
    if isinstance(error, click.NoSuchOption):
        return _other_option(error)
    if not isinstance(error, click.UsageError) or "extra argument" not in error.message or error.ctx is None:
        return error
    if error.ctx.command_path.split()[1:] == ["list"] and (meant := _listed(argv, verbs())):
        said = f'`list` has the guests that vfioctl hands devices to; did you mean "{meant}"?'
        return click.UsageError(said, error.ctx)
    return error


def _listed(argv: Sequence[str], verbs: Verbs) -> str:
    behind = argv[argv.index("list") + 1 :]
    return next(filter(None, (words.listed(word, verbs) for word in behind)), "")


def _other_option(error: click.NoSuchOption) -> click.UsageError:
    """Without hidden options; what other programs call otherwise has another name here."""
    params = error.ctx.command.params if error.ctx else []
    hidden = {name for param in params if getattr(param, "hidden", False) for name in param.opts}
    known = {name for param in params for name in param.opts} - hidden
    near = [name for name in error.possibilities or () if name not in hidden]
    verb = error.ctx.command_path if error.ctx else ""
    meant, said = words.option(verb, error.option_name, known)
    listed = " or ".join(f'"{name}"' for name in ([meant] if meant else near))
    more = f". {said}" if said else f"; did you mean {listed}?" if listed else "."
    # click would leave out what looks like nothing that was typed.
    return click.UsageError(f"There is no option {error.option_name!r}{more}", error.ctx)
