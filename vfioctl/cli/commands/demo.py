"""`vfioctl demo`: a whole hand-off on a simulated host, through the same hook code. Changes nothing on this host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.errors import VfioctlError

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.result import Result

SCENARIOS = ("nvidia", "amdgpu")


@click.command()
@click.argument("scenario", type=click.Choice(SCENARIOS), default=SCENARIOS[0])
@click.option("--shell", is_flag=True, help="Open a shell on the simulated host instead, to try it by hand.")
@click.pass_obj
def command(app: App, scenario: str, shell: bool) -> Result | int:  # noqa: FBT001 -- click's signature
    """Run a whole hand-off on a simulated host.

    A desktop with one graphics card gives it to a guest and gets it back: plan, hand-off, return, waterfall. Needs no
    root, no graphics card and no libvirt, but fuse3.
    """
    try:
        from vfioctl.cli.demo import open_shell, play
    except ImportError as error:
        raise VfioctlError(
            "demo.missing", f"This installation of vfioctl lacks its test kit ({error}).",
            state="Nothing was changed.", hints=("Install vfioctl again, from a wheel or from a checkout.",),
        ) from error  # fmt: skip
    return open_shell(scenario) if shell else play(app, scenario)
