"""`vfioctl completion SHELL`: the script that a shell reads to complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from vfioctl.result import Result

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.pass_context
def command(ctx: click.Context, shell: str | None) -> Result:
    """Print the completion script of a shell.

    Without SHELL that of your own, as $SHELL says. It completes commands, options, guests, settings, addresses and
    records. For bash: vfioctl completion bash > /etc/bash_completion.d/vfioctl
    """
    shell = shell or _own_shell(ctx.obj.environ.get("SHELL", ""))
    found = get_completion_class(shell)
    assert found is not None
    root = ctx.find_root()
    program = root.info_name or "vfioctl"
    script = found(root.command, {}, program, f"_{program.upper()}_COMPLETE").source()
    return Result(data={"shell": shell, "script": script})


def _own_shell(program: str) -> str:
    """The shell that `program` is. Raises click.BadParameter for one without a script."""
    name = program.rpartition("/")[2]
    if name not in SHELLS:
        said = f"your shell is {name or 'unknown'}; there are scripts for {', '.join(SHELLS)}."
        raise click.BadParameter(said, param_hint="SHELL")
    return name
