"""The settings of a guest with their values and where each comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.actions.domains import guests, no_guest
from vfioctl.actions.facts import guest_config, plugin_infos
from vfioctl.config.load import managed_guests, unknown_variables
from vfioctl.config.schema import settings
from vfioctl.errors import Refused
from vfioctl.events.libvirt import check_guest_name
from vfioctl.result import Message, Result
from vfioctl.shell import argument
from vfioctl.unknown import no_such

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.config.model import GuestConfig
    from vfioctl.plugin.types import PluginInfo


def show(call: Call, guest: str, *, origin: bool = False) -> Result:
    """Every setting of `guest`; `origin` asks the view for the place of each."""
    warned = _about_unmanaged(call, guest)
    plugins = plugin_infos(call)
    rows = _rows(guest_config(call, guest, plugins), plugins)
    data = {"guest": guest, "origin": origin, "settings": rows}
    return Result(data=data).saying(*warned, *_about_variables(call, plugins))


def get(call: Call, guest: str, setting: str) -> Result:
    """One setting of `guest`. Raises Refused("config.unknown")."""
    warned = _about_unmanaged(call, guest)
    plugins = plugin_infos(call)
    rows = {row["path"]: row for row in _rows(guest_config(call, guest, plugins), plugins)}
    if setting not in rows:
        refused = no_such("config.unknown", f"There is no setting {setting!r}", setting, rows, "The settings")
        refused.hints = (f"See them all with: vfioctl config show {argument(guest)}",)
        raise refused
    return Result(data={"guest": guest, **rows[setting]}).saying(*warned)


def _about_variables(call: Call, plugins: Mapping[str, PluginInfo]) -> tuple[Message, ...]:
    unknown = unknown_variables(call.caller.environment, plugins)
    return tuple(Message(f"{said}.", "warning", "config.variable") for said in unknown)


def _about_unmanaged(call: Call, guest: str) -> tuple[Message, ...]:
    """What to say of a guest without a file. Raises Refused("guest.unknown") when libvirt has none of that name."""
    check_guest_name(guest)
    managed = managed_guests(call.composition.paths)
    if guest in managed:
        return ()
    try:
        known: tuple[str, ...] = guests(call)
    except Refused:  # nobody can say whether there is such a guest
        known = (guest,)
    if guest not in known:
        raise no_guest(guest, {*known, *managed})
    text = f"{guest} is not managed yet: these are the host's settings and the defaults."
    hint = f"Let vfioctl manage it with: vfioctl enable {argument(guest)}"
    return (Message(text, "warning", "guest.unmanaged", hint),)


def _rows(config: GuestConfig, plugins: Mapping[str, PluginInfo]) -> list[dict[str, Any]]:
    """Every setting: dotted path, value, origin, one sentence."""
    return [
        {
            "path": path, "value": _value(config, path, plugins), "origin": config.origins.get(path, "default"),
            "summary": setting.summary,
        }
        for path, setting in settings(plugins).items()
    ]  # fmt: skip


def _value(config: GuestConfig, path: str, plugins: Mapping[str, PluginInfo]) -> Any:
    """The value of the setting `path` in `config`."""
    first, _, rest = path.partition(".")
    if rest and first in plugins:
        value = config.table(first).get(rest)
    else:
        value = getattr(config.deadlines, rest) if rest else getattr(config, first)
    return list(value) if isinstance(value, tuple) else value
