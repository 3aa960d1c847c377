"""The installed plugins: in which state each is, what it claims; and the manifest that the hook reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from vfioctl.actions.facts import plugin_infos
from vfioctl.config.plugins import disabled
from vfioctl.plugin import manifest
from vfioctl.plugin.registration import problem
from vfioctl.result import Message, Result

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.config.plugins import Disabled
    from vfioctl.plugin.types import PluginInfo


def installed(call: Call) -> Result:
    """Every plugin with version, state and claims."""
    infos = plugin_infos(call)
    return Result(data={"plugins": rows(infos.values(), disabled(call.composition.paths))})


def refresh(call: Call) -> Result:
    """Search for plugins in an interpreter of their own, and write the manifest."""
    call.need_trust()
    here, paths = call.composition, call.composition.paths
    built = manifest.isolated(here.programs, here.interpreter)
    manifest.write(paths, built)
    written = Message(f"{paths.manifest} is written.")
    said = tuple(
        Message(f"The plugin {info.name} cannot be registered: {why}", "warning", "plugin.broken")
        for info in built.plugins if info.status == "ok" and (why := problem(info))
    )  # fmt: skip
    data = {"manifest": paths.manifest, "plugins": rows(built.plugins, disabled(paths))}
    left_out = (Message(text, "warning", "plugin.command_broken") for text in built.left_out)
    return Result(data=data, messages=(written, *said, *left_out))


def rows(infos: Iterable[PluginInfo], disabled: Disabled) -> list[dict[str, Any]]:
    """What is shown of each plugin."""
    return [
        {
            "name": info.name, "version": info.version, "api": info.api, "status": disabled.status(info),
            "disabled_for": list(disabled.guests_without(info.name)),
            "claims": list(info.claims), "opt_in": info.opt_in, "summary": info.summary,
            "distribution": info.distribution, "module": info.module, "settings": sorted(info.table),
            "note": manifest.api_note(info),
        }
        for info in infos
    ]  # fmt: skip
