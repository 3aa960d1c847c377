"""`vfioctl config show [GUEST]`: every setting with its value and, when asked, its origin. Works without root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.options import verb

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result
    from vfioctl.config.model import GuestConfig
    from vfioctl.plugin.types import PluginInfo

NAME = "config show"


@verb("show")
@click.argument("guest")
@click.option("--origin", is_flag=True, help="Also show where each value comes from.")
@click.pass_obj
def command(app: App, guest: str, origin: bool) -> Result:  # noqa: FBT001 -- click's signature
    """Show every setting of a guest with its value.

    Precedence: environment VFIOCTL_*, guest file, host file, default.
    """
    from vfioctl.cli.facts import guest_config, plugin_infos
    from vfioctl.cli.result import Result

    plugins = plugin_infos(app)
    rows = rows_of(guest_config(app, guest, plugins), plugins)
    return Result(NAME, {"guest": guest, "origin": origin, "settings": rows})


def rows_of(config: GuestConfig, plugins: Mapping[str, PluginInfo]) -> list[dict[str, Any]]:
    """Every setting: dotted path, value, origin, one sentence."""
    from vfioctl.config.schema import settings

    return [
        {
            "path": path, "value": value_of(config, path, plugins), "origin": config.origins.get(path, "default"),
            "summary": setting.summary,
        }
        for path, setting in settings(plugins).items()
    ]  # fmt: skip


def value_of(config: GuestConfig, path: str, plugins: Mapping[str, PluginInfo]) -> Any:
    """The value of the setting `path` in `config`."""
    first, _, rest = path.partition(".")
    if rest and first in plugins:
        value = config.table(first).get(rest)
    else:
        value = getattr(config.deadlines, rest) if rest else getattr(config, first)
    return list(value) if isinstance(value, tuple) else value
