"""`vfioctl config show [GUEST]`: every setting with its value and, when asked, its origin. Works without root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.types import MANAGED
from vfioctl.shell import argument

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Message, Result
    from vfioctl.config.model import GuestConfig
    from vfioctl.plugin.types import PluginInfo


@click.command()
@click.argument("guest", type=MANAGED)
@click.option("--origin", is_flag=True, help="Also show where each value comes from.")
@click.pass_obj
def command(app: App, guest: str, origin: bool) -> Result:  # noqa: FBT001 -- click's signature
    """Show every setting of a guest with its value.

    Precedence: environment VFIOCTL_*, guest file, host file, default.
    """
    from vfioctl.cli.facts import guest_config, plugin_infos
    from vfioctl.cli.result import Result

    warned = about_unmanaged(app, guest)
    plugins = plugin_infos(app)
    rows = rows_of(guest_config(app, guest, plugins), plugins)
    data = {"guest": guest, "origin": origin, "settings": rows}
    return Result(data=data).saying(*warned, *_about_variables(app, plugins))


def _about_variables(app: App, plugins: Mapping[str, PluginInfo]) -> tuple[Message, ...]:
    from vfioctl.cli.result import Message
    from vfioctl.config.load import unknown_variables

    return tuple(Message(f"{said}.", "warning", "config.variable") for said in unknown_variables(app.environ, plugins))


def about_unmanaged(app: App, guest: str) -> tuple[Message, ...]:
    """What to say of a guest without a file. Raises Refused("guest.unknown") when libvirt has none of that name."""
    from vfioctl.cli.domains import guests, no_guest
    from vfioctl.cli.result import Message
    from vfioctl.config.load import managed_guests
    from vfioctl.errors import Refused
    from vfioctl.events.libvirt import check_guest_name

    check_guest_name(guest)
    managed = managed_guests(app.composition.paths)
    if guest in managed:
        return ()
    try:
        known: tuple[str, ...] = guests(app)
    except Refused:  # nobody can say whether there is such a guest
        known = (guest,)
    if guest not in known:
        raise no_guest(guest, {*known, *managed})
    text = f"{guest} is not managed yet: these are the host's settings and the defaults."
    hint = f"Let vfioctl manage it with: vfioctl enable {argument(guest)}"
    return (Message(text, "warning", "guest.unmanaged", hint),)


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
