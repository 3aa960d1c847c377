"""`vfioctl completion SHELL`: the script that a shell reads to complete our commands; printed, or put in its place."""

from __future__ import annotations

import click

from vfioctl.cli.app import App
from vfioctl.cli.shells import SHELLS, script
from vfioctl.result import Result


@click.command()
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.option("--install", "to_do", flag_value="install", help="Put it where the shell loads it by itself.")
@click.option("--remove", "to_do", flag_value="remove", help="Take away what --install has put there.")
@click.pass_context
def command(ctx: click.Context, shell: str | None, to_do: str | None) -> Result:
    """Print the completion script of a shell, or put it in its place.

    Without SHELL that of your own, as $SHELL says. It completes commands, options, guests, settings, addresses,
    records and files. With --install root puts it where every user's shell finds it, anybody else where only their own
    does. A file that vfioctl did not write is neither replaced nor removed.
    """
    from vfioctl.actions.completion import put, take

    app: App = ctx.obj
    shell = shell or _own_shell(app.environ.get("SHELL", ""))
    if to_do == "remove":
        return take(app, shell)
    text = script(shell, ctx.find_root().command)
    return put(app, shell, text) if to_do else Result(data={"shell": shell, "script": text, "file": ""})


def _own_shell(program: str) -> str:
    """The shell that `program` is. Raises click.BadParameter for one without a script."""
    name = program.rpartition("/")[2]
    if name not in SHELLS:
        said = f"your shell is {name or 'unknown'}; there are scripts for {', '.join(SHELLS)}."
        raise click.BadParameter(said, param_hint="SHELL")
    return name
