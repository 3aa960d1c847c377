"""What crosses the plugin border: frozen data, no methods with effects. The public types of vfioctl for plugins.

Within one API version only additions are made: new hooks, new optional fields.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import field, frozen
from vfioctl.txn.step import Condition, Frees, Lifetime, Phase, Scope, StepProposal

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.config.model import GuestConfig
    from vfioctl.config.schema import SettingTable
    from vfioctl.events.model import Domain
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice
    from vfioctl.plugin.host_changes import HostChange

__all__ = [
    "API_VERSION",
    "Condition",
    "ConfigFile",
    "DoctorCheck",
    "Finding",
    "Frees",
    "GpuHandoff",
    "Lifetime",
    "Outcome",
    "Phase",
    "Release",
    "Request",
    "Scope",
    "Severity",
    "SnapshotBackend",
    "StepProposal",
    "TemplateSource",
]  # fmt: skip

API_VERSION = 2  # what `api` in vfioctl-plugin.toml says for a plugin that is written today
SUPPORTED_API = range(1, API_VERSION + 1)

GENERIC_RANK = 0  # the rank of a claim that fits any device: every other one wins over it
VENDOR_RANK = 50  # the rank of a claim for one kind of device

Release = Frees  # its name in plugin API 1


@frozen
class Request:
    """One guest about to start: what a hook may know. `host` reads and never writes."""

    guest: str
    uuid: str
    domain: Domain
    config: GuestConfig
    host: Host
    devices: tuple[PciDevice, ...]  # all functions that will be given, siblings and included members among them
    incoming: bool = False  # an incoming migration or a restore
    now: float = field(default_factory=time.time)  # seconds since the epoch, the same for every hook
    operation: str = ""  # the id of this start, by which an undo knows what it made; good at the end of a name


@frozen
class GpuHandoff:
    """A claim: this plugin knows how to free `address` (and the functions in `covers`) and bring it back.

    The highest rank wins; two equal ones are an error that names both and the setting `handler`. `steps` run in
    prepare; `back` are the conditions that prove the return.
    """

    plugin: str
    address: str
    rank: int
    steps: tuple[StepProposal, ...]
    back: tuple[Condition, ...] = ()
    covers: tuple[str, ...] = ()  # further functions whose hand-off is in `steps` (sound, USB-C)
    findings: tuple[Finding, ...] = ()


@frozen
class SnapshotBackend:
    """A claim: this plugin can snapshot `disk`. `create` runs before the start, `delete` is retention after it."""

    plugin: str
    disk: str  # target, e.g. "vda"
    rank: int
    create: tuple[StepProposal, ...]
    delete: tuple[StepProposal, ...] = ()
    findings: tuple[Finding, ...] = ()


@frozen
class DoctorCheck:
    """A check of the host beyond one guest; what mends it is offered, never run by itself.

    `fixers` say by the code of a finding, of this check or another one, which change of the host mends it; None where
    nothing can be changed from here. `vfioctl doctor --fix` shows it, asks, and makes it. `commands` say by the code
    which command mends it, as it is typed: `vfioctl doctor` names that with the finding, unless a fixer has no change.
    """

    name: str
    summary: str
    run: Callable[[Host], tuple[Finding, ...]]
    fixers: Mapping[str, Callable[[Host, Finding], HostChange | None]] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)


@frozen
class ConfigFile:
    """A file of configuration that is a plugin's own, by its whole path, and everything that is wrong in it."""

    path: str
    findings: tuple[Finding, ...] = ()


@frozen
class TemplateSource:
    """An image that is published for everybody, of which a template can be made; `name` is short, "debian-12".

    `system`, `version` and `architecture` (x86_64, aarch64) are for people. `checksums` is the address of the list in
    which the sha256 or sha512 of the image stands: of https and of the same host, as `url` is.
    """

    name: str
    system: str
    version: str
    architecture: str
    url: str
    checksums: str


@frozen
class Outcome:
    """How a hand-off ended, for observers: its return, as the guest stopped. Times are seconds."""

    guest: str
    uuid: str
    event: str  # release
    ok: bool
    duration: float
    message: str = ""
    steps: tuple[Mapping[str, Any], ...] = field(default=())


@frozen
class PluginInfo:
    """A row of the manifest: what is known about a plugin without importing it."""

    name: str
    version: str
    api: int
    module: str
    claims: tuple[str, ...] = ()  # "vendor:device" in hex, "10de:*"; empty: asked about nothing special
    table: SettingTable = field(default_factory=dict)  # what can be set
    distribution: str = ""
    status: str = "ok"  # ok, disabled, broken: REASON
    summary: str = ""
    opt_in: bool = False  # imported only for guests whose file has its table
    units: tuple[str, ...] = ()  # system units that it may stop when they hold the device: its documented list
    operations: Mapping[str, str] = field(default_factory=dict)  # whose end it advises on: the function of each


@frozen
class PluginCommand:
    """A command that a plugin adds; `target` and `view` ("module:attribute") are imported only to run and show it."""

    name: str
    help: str
    target: str
    view: str = ""
    effect: str = "change"
    plugin: str = ""  # who brings it: a plugin, or a distribution without hooks
    distribution: str = ""
    prints: bool = False  # it may print by itself and give back a status, as API 1 allows
    terminal: bool = False  # what it gives back may take over the terminal


@frozen
class PluginGroup:
    """What the words are for that begin the names of several commands."""

    name: str
    help: str
