"""`vfioctl completion SHELL`: the script that a shell reads to complete our commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.cli.options import verb

if TYPE_CHECKING:
    from vfioctl.cli.result import Result

NAME = "completion"
SHELLS = ("bash", "zsh", "fish")


@verb(NAME)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> Result:
    """Print the completion script of a shell.

    For bash: vfioctl completion bash > /etc/bash_completion.d/vfioctl
    """
    from click.shell_completion import get_completion_class

    from vfioctl.cli.result import Result

    found = get_completion_class(shell)
    assert found is not None
    root = ctx.find_root()
    program = root.info_name or "vfioctl"
    script = found(root.command, {}, program, f"_{program.upper()}_COMPLETE").source()
    return Result(NAME, {"shell": shell, "script": script})
