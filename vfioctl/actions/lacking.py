"""What a guest that is off lacks until it can start, as libvirt's own file of it says. Asks libvirt nothing."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vfioctl import files
from vfioctl.actions.facts import guest_config, owners, plugin_infos
from vfioctl.errors import VfioctlError
from vfioctl.events.domain import read_domain
from vfioctl.findings import Finding, Severity
from vfioctl.handoff import identity, left_to_libvirt
from vfioctl.handoff.devices import wanted
from vfioctl.handoff.startable import needs_findings
from vfioctl.plugin.types import Request
from vfioctl.shell import argument

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vfioctl.actions.caller import Call
    from vfioctl.config.model import GuestConfig
    from vfioctl.events.model import Domain
    from vfioctl.host.host import Host
    from vfioctl.plugin.types import PluginInfo

DEFINITIONS = "etc/libvirt/qemu"


class Looker:
    """Looks at guests, one after the other: plugins and their settings are read once, and only where there is one."""

    def __init__(self, call: Call, host: Host | None = None) -> None:
        self.call = call
        self.host = host or call.host()

    @cached_property
    def plugins(self) -> Mapping[str, PluginInfo]:
        return plugin_infos(self.call)

    def lacking(self, guest: str) -> tuple[Finding, ...] | None:
        """What keeps `guest` from starting, each with the next command; None where its definition may not be seen."""
        try:
            xml = files.read_bytes(self.call.paths.at(DEFINITIONS, f"{guest}.xml"))
            return tuple(dict.fromkeys(_found(self.call, read_domain(xml), self.plugins, self.host)))
        except FileNotFoundError:
            return _gone(self.call, guest)
        except VfioctlError as error:
            return (Finding(error.code, error.message, hint=error.hints[0] if error.hints else ""),)
        except OSError:
            return None

    def rows(self, guest: str) -> list[dict[str, Any]] | None:
        """The same as data."""
        found = self.lacking(guest)
        if found is None:
            return None
        return [{"code": one.code, "message": one.message, "hint": one.hint} for one in found]


def _gone(call: Call, guest: str) -> tuple[Finding, ...] | None:
    if not os.access(call.paths.at(DEFINITIONS), os.R_OK | os.X_OK):
        return None
    hint = f"Define it, or manage it no longer with: vfioctl disable {argument(guest)}"
    return (Finding("guest.unknown", "libvirt keeps no guest of this name.", hint=hint),)


def _found(call: Call, domain: Domain, plugins: Mapping[str, PluginInfo], host: Host) -> Iterator[Finding]:
    config = guest_config(call, domain.name, plugins)
    chosen = wanted(domain, config, host)
    yield from _of_its_file(call, domain, config)
    said = (*chosen.findings, *identity.check(call.paths, domain.uuid, domain.name, chosen.devices))
    given = owners(call.paths)
    for device in chosen.devices:
        if (other := given.get(device.address)) and other != domain.name:
            hint = f"Wait for it, or see it with: vfioctl status {argument(other)}"
            yield Finding("device.given", f"{device.address} is given to {other} now.", hint=hint)
    request = Request(domain.name, domain.uuid, domain, config, host, chosen.devices)
    for finding in (*said, *needs_findings(request)):
        if finding.severity is Severity.BLOCK:
            yield finding


def _of_its_file(call: Call, domain: Domain, config: GuestConfig) -> Iterator[Finding]:
    """Whether anybody hands its devices over, and whether there are any."""
    name, managed = domain.name, os.path.lexists(call.paths.guest_config(domain.name))
    if not managed and any(one.kind == "pci" and not one.managed and not one.in_arguments for one in domain.hostdevs):
        hint = f"Let vfioctl do that with: vfioctl enable {argument(name)}"
        yield Finding("guest.unmanaged", "It has a device of the host, and nobody hands that over.", hint=hint)
    if managed and not (domain.hostdevs or config.devices or left_to_libvirt.has_any(domain, call.paths)):
        hint = f"Give it a card with: vfioctl enable {argument(name)} --gpu first-free"
        yield Finding("guest.no_device", "It has no device of the host.", hint=hint)
