"""Who keeps the IOMMU groups of a start from being given, and what every known plugin would say. Reads facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused
from vfioctl.findings import Finding, Severity
from vfioctl.plugin import group
from vfioctl.plugin.manager import Plugins, select

if TYPE_CHECKING:
    from vfioctl.host.model import PciDevice
    from vfioctl.plugin.types import PluginInfo, Request


def findings(request: Request, known: Sequence[PluginInfo]) -> tuple[Finding, ...]:
    """A block for each member of the groups that keeps its host driver, with advice that none of `known` forbids."""

    def refused(tried: Request, addresses: Iterable[str]) -> dict[str, Finding]:
        plugins = Plugins(select(known, tried.config, tried.devices))
        asked = (tried.host.device(address) for address in addresses)
        return {device.address: found for device in asked if (found := _first_block(device, tried, plugins))}

    return tuple(group.findings(request, refused))


def _first_block(device: PciDevice, request: Request, plugins: Plugins) -> Finding | None:
    """What the plugin that would hand `device` over has against it."""
    try:
        claim = plugins.gpu_handoff(device, request.host, request.config, request)
    except Refused:  # two plugins claim it: said once it is asked for
        return None
    blocks = (item for item in (claim.findings if claim else ()) if item.severity is Severity.BLOCK)
    return next(blocks, None)
