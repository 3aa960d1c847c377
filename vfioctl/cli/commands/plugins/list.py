"""`vfioctl plugins list`: what is installed, in which state, and what it claims. Works without root."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.options import verb

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result
    from vfioctl.plugin.types import PluginInfo

NAME = "plugins list"


@verb("list")
@click.pass_obj
def command(app: App) -> Result:
    """List the plugins with version, state and claims."""
    from vfioctl.cli.facts import plugin_infos
    from vfioctl.cli.result import Result

    return Result(NAME, {"plugins": rows(plugin_infos(app).values())})


def rows(infos: Iterable[PluginInfo]) -> list[dict[str, Any]]:
    """What is shown of each plugin."""
    return [
        {
            "name": info.name, "version": info.version, "api": info.api, "status": info.status,
            "claims": list(info.claims), "opt_in": info.opt_in, "summary": info.summary,
            "distribution": info.distribution, "module": info.module, "settings": sorted(info.table),
        }
        for info in infos
    ]  # fmt: skip
