"""`vfioctl plugins list`: what is installed, in which state, and what it claims. Works without root."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result
    from vfioctl.config.plugins import Disabled
    from vfioctl.plugin.types import PluginInfo


@click.command()
@click.pass_obj
def command(app: App) -> Result:
    """List the plugins with version, state and claims.

    A plugin that `disabled_plugins` names is disabled: for every guest, or for those whose file says so.
    """
    from vfioctl.cli.facts import plugin_infos
    from vfioctl.cli.result import Result
    from vfioctl.config.plugins import disabled

    infos = plugin_infos(app)
    return Result(data={"plugins": rows(infos.values(), disabled(app.composition.paths))})


def rows(infos: Iterable[PluginInfo], disabled: Disabled) -> list[dict[str, Any]]:
    """What is shown of each plugin."""
    from vfioctl.plugin.manifest import api_note

    return [
        {
            "name": info.name, "version": info.version, "api": info.api, "status": disabled.status(info),
            "disabled_for": list(disabled.guests_without(info.name)),
            "claims": list(info.claims), "opt_in": info.opt_in, "summary": info.summary,
            "distribution": info.distribution, "module": info.module, "settings": sorted(info.table),
            "note": api_note(info),
        }
        for info in infos
    ]  # fmt: skip
