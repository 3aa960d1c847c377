"""Registers a plugin with pluggy itself, the judge of what the hook finds by its marks alone. Not on the hook path."""

from __future__ import annotations

import importlib

import pluggy

from vfioctl import guard
from vfioctl.checking import TYPE_CHECKING
from vfioctl.plugin import spec
from vfioctl.plugin.markers import NAME

if TYPE_CHECKING:
    from types import ModuleType

    from vfioctl.plugin.types import PluginInfo


def registered(module: ModuleType) -> dict[str, tuple[str, ...]]:
    """The hooks that pluggy finds in `module`, each with its arguments. Raises what pluggy raises."""
    manager = pluggy.PluginManager(NAME)
    manager.add_hookspecs(spec)
    manager.register(module)
    callers = manager.get_hookcallers(module) or []
    return {caller.name: impl.argnames for caller in callers if caller.spec for impl in caller.get_hookimpls()}


def problem(info: PluginInfo) -> str:
    """Why pluggy does not take the plugin, or ""."""
    called = guard.call(lambda: registered(importlib.import_module(info.module)), alarm=guard.ALARM)
    return called.problem if called.error else ""
