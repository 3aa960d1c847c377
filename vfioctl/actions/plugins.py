"""The installed plugins: in which state each is, what it claims; and the manifest that the hook reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vfioctl.config.plugins import disabled
from vfioctl.plugin import manifest
from vfioctl.plugin.registration import problem
from vfioctl.plugin.types import PluginInfo
from vfioctl.result import Message, Result

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.config.plugins import Disabled
    from vfioctl.plugin.manifest import Manifest

Commands = Mapping[str, Sequence[Mapping[str, Any]]]


def described(call: Call, found: Manifest, commands: Commands) -> Result:
    """Every plugin with version, state, claims and the commands that it adds."""
    return Result(data={"plugins": rows(found, disabled(call.composition.paths), commands)})


def refresh(call: Call, commands: Callable[[Manifest], Commands]) -> Result:
    """Search for plugins in an interpreter of their own, and write the manifest. `commands` judges what they add."""
    call.need_trust()
    here, paths = call.composition, call.composition.paths
    built = manifest.isolated(here.programs, here.interpreter)
    manifest.write(paths, built)
    written = Message(f"{paths.manifest} is written.")
    said = tuple(
        Message(f"The plugin {info.name} cannot be registered: {why}", "warning", "plugin.broken")
        for info in built.plugins if info.status == "ok" and (why := problem(info))
    )  # fmt: skip
    data = {"manifest": paths.manifest, "plugins": rows(built, disabled(paths), commands(built))}
    left_out = (Message(text, "warning", "plugin.command_broken") for text in built.left_out)
    return Result(data=data, messages=(written, *said, *left_out))


def rows(found: Manifest, disabled: Disabled, commands: Commands) -> list[dict[str, Any]]:
    """What is shown of each plugin, and of each distribution that only has commands."""
    known = {info.name for info in found.plugins}
    bare = (
        PluginInfo(name, _version(name), api=1, module="", distribution=name)
        for name in sorted(commands.keys() - known)
    )
    return [
        {
            "name": info.name, "version": info.version, "api": info.api, "status": disabled.status(info),
            "disabled_for": list(disabled.guests_without(info.name)),
            "claims": list(info.claims), "opt_in": info.opt_in, "summary": info.summary,
            "distribution": info.distribution, "module": info.module, "settings": sorted(info.table),
            "note": manifest.api_note(info), "commands": list(commands.get(info.name, ())),
        }
        for info in (*found.plugins, *bare)
    ]  # fmt: skip


def _version(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:  # it is installed for the hook's interpreter only
        return ""
