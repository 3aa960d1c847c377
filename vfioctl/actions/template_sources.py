"""The published images that plugins know. Asks every enabled plugin, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.actions.facts import installed
from vfioctl.config.plugins import disabled
from vfioctl.plugin.manager import Plugins

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.plugin.types import TemplateSource


def template_sources(call: Call) -> tuple[tuple[str, TemplateSource], ...]:
    """Each with its plugin; what a plugin does wrong is told to the caller."""
    off = disabled(call.composition.paths)
    plugins = Plugins(info for info in installed(call).plugins if off.status(info) == "ok")
    found = plugins.template_sources()
    for finding in plugins.findings:
        call.caller.tell(f"warning: {finding.message} [{finding.code}]")
    return found
