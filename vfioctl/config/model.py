"""The settings of one guest, merged and typed. No reading here; the schema stands in schema.py."""

from __future__ import annotations

from collections.abc import Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import field, frozen
from vfioctl.limits import Limits

if TYPE_CHECKING:
    from typing import Any


@frozen
class GuestConfig:
    """What the files say about one guest. `tables` holds each plugin's own table, validated and with defaults.

    `origins` maps a dotted path to "default", a file path with line, an environment variable or a flag.
    """

    guest: str
    devices: tuple[str, ...] = ()  # PCI addresses besides the hostdevs
    include: tuple[str, ...] = ()  # further members of an IOMMU group that may be taken along
    exclude: tuple[str, ...] = ()  # functions that stay with the host although they would be taken along
    session: str = "keep"  # "end": a logged-in user's session may be ended
    units: tuple[str, ...] = ()  # units that may be stopped when they hold the device
    handler: str | None = None  # the plugin that decides a tie of two claims
    inhibit_sleep: bool = True
    preflight: str = "refuse"  # what is done about a start that must fail: "refuse", "warn" or "off" (not looked at)
    deadlines: Limits = field(default_factory=Limits)
    disabled_plugins: tuple[str, ...] = ()
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[str, ...] = ()  # containers that may be stopped: NAME, docker:NAME, podman:NAME, podman:USER/NAME
    allow_in_use: tuple[str, ...] = ()  # PCI addresses that are given although a disk or the network may be in use

    def table(self, plugin: str) -> Mapping[str, Any]:
        """The table of `plugin` with defaults filled in; empty when the plugin has no table."""
        return self.tables.get(plugin, {})
