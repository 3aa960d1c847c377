"""The typed façade over the plugins: loads the plugins that a guest uses, calls each implementation under a guard.

Nothing that a plugin does wrong leaves this module as anything but a finding. Has no effects on the machine.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from functools import partial

from vfioctl import guard
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused, Unanswered
from vfioctl.frozen import replace
from vfioctl.plugin.implementations import Implementation, find, misspelt
from vfioctl.plugin.results import BadResultError, hook_steps, many, one
from vfioctl.plugin.static import claims_match
from vfioctl.plugin.types import (
    SUPPORTED_API,
    ConfigFile,
    DoctorCheck,
    Finding,
    GpuHandoff,
    Outcome,
    PluginInfo,
    Request,
    Severity,
    SnapshotBackend,
    TemplateSource,
)
from vfioctl.txn.ordering import Proposed

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, TypeVar

    from vfioctl.config.model import GuestConfig
    from vfioctl.events.model import Disk
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice

    T = TypeVar("T")
    C = TypeVar("C", GpuHandoff, SnapshotBackend)

BUILT_IN = "generic"  # its checks hold for every guest: it cannot be disabled


def has_table(config: GuestConfig, plugin: str) -> bool:
    """Whether the guest's own settings name `plugin`; a table of nothing but defaults does not count."""
    return any(
        path.startswith(f"{plugin}.") and origin != "default" for path, origin in config.origins.items()
    )


def select(
    infos: Iterable[PluginInfo], config: GuestConfig, devices: Iterable[PciDevice]
) -> tuple[PluginInfo, ...]:
    """The plugins that this guest uses, before any import: enabled, and claiming a device or asked for."""
    given = tuple(devices)
    disabled = set(config.disabled_plugins) - {BUILT_IN}
    return tuple(info for info in infos if info.name not in disabled and _is_used(info, config, given))


def _is_used(info: PluginInfo, config: GuestConfig, devices: tuple[PciDevice, ...]) -> bool:
    if info.name == BUILT_IN or has_table(config, info.name):
        return True
    if info.opt_in:
        return False
    return not info.claims or claims_any(info, devices)


def claims_any(info: PluginInfo, devices: Iterable[PciDevice]) -> bool:
    """Whether `info` claims one of `devices`."""
    return any(claims_match(info.claims, device.vendor, device.device) for device in devices)


def needed(infos: Iterable[PluginInfo], config: GuestConfig, devices: Iterable[PciDevice]) -> frozenset[str]:
    """The plugins without which this guest must not start: they claim a device, or its file asks for them."""
    given = tuple(devices)
    return frozenset(info.name for info in infos if has_table(config, info.name) or claims_any(info, given))


class Plugins:
    """The loaded plugins. `findings` collects what went wrong with them, in the order of events.

    `required` names the plugins whose failure blocks the guest; any other costs only itself.
    """

    def __init__(
        self, infos: Iterable[PluginInfo], *, required: Iterable[str] = (), alarm: float = guard.ALARM
    ) -> None:
        self._required = frozenset(required)
        self._alarm = alarm
        self._findings: list[Finding] = []
        self._loaded: dict[str, tuple[Implementation, ...]] = {}
        self._modules: dict[str, ModuleType] = {}
        self._units: set[str] = set()
        for info in sorted(infos, key=lambda info: info.name):
            self._load(info)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What plugins did wrong so far."""
        return tuple(self._findings)

    @property
    def names(self) -> tuple[str, ...]:
        """The plugins that were loaded."""
        return tuple(self._loaded)

    @property
    def units(self) -> frozenset[str]:
        """The units that the loaded plugins may stop, from their static data: the documented list of each."""
        return frozenset(self._units)

    # ------------------------------------------------------------------ hooks

    def gpu_handoff(
        self, gpu: PciDevice, host: Host, config: GuestConfig, request: Request | None = None
    ) -> GpuHandoff | None:
        """The claim of highest rank on `gpu`, or None. Raises Refused("plugin.tie")."""
        facts = {"gpu": gpu, "host": host, "config": config, "request": request}
        found = self._claims("vfioctl_gpu_handoff", GpuHandoff, facts)
        claims = [claim for claim in found if self._is_about(claim, claim.address, gpu.address)]
        return decide(claims, gpu.address, config.handler)

    def pre_start(self, request: Request) -> tuple[Proposed, ...]:
        """What plugins want before the guest starts."""
        return self._proposals("vfioctl_pre_start", request)

    def post_stop(self, request: Request) -> tuple[Proposed, ...]:
        """What plugins want on the way back, on top of undoing."""
        return self._proposals("vfioctl_post_stop", request)

    def snapshot(self, disk: Disk, request: Request) -> SnapshotBackend | None:
        """The claim of highest rank on `disk`, or None. Raises Refused("plugin.tie")."""
        found = self._claims("vfioctl_snapshot", SnapshotBackend, {"disk": disk, "request": request})
        claims = [claim for claim in found if self._is_about(claim, claim.disk, disk.target)]
        return decide(claims, disk.target, request.config.handler)

    def preflight(self, request: Request) -> tuple[Finding, ...]:
        """Everything that plugins find wrong, each finding with its source."""
        found = self._each("vfioctl_preflight", many(Finding), {"request": request})
        return tuple(replace(finding, source=name) for name, items in found for finding in items)

    def doctor_checks(self) -> tuple[tuple[str, DoctorCheck], ...]:
        """The checks of the host, each with its plugin."""
        found = self._each("vfioctl_doctor_checks", many(DoctorCheck), {})
        return tuple((name, check) for name, checks in found for check in checks)

    def template_sources(self) -> tuple[tuple[str, TemplateSource], ...]:
        """The images that plugins know, each with its plugin."""
        found = self._each("vfioctl_template_sources", many(TemplateSource), {})
        return tuple((name, source) for name, sources in found for source in sources)

    def config_files(self, host: Host) -> tuple[ConfigFile, ...]:
        """The files of plugins, each judged by its own."""
        found = self._each("vfioctl_config_files", many(ConfigFile), {"host": host})
        return tuple(file for _, files in found for file in files)

    def finished(self, outcome: Outcome) -> None:
        """Tell the observers; what they raise becomes a finding."""
        self._each("vfioctl_finished", one(type(None)), {"outcome": outcome})

    def answer(self, hook: str) -> bool:
        """Whether any of the loaded plugins implements `hook`."""
        return any(one.hook == hook for implementations in self._loaded.values() for one in implementations)

    # ------------------------------------------------------------------ calls

    def _proposals(self, hook: str, request: Request) -> tuple[Proposed, ...]:
        found = self._each(hook, hook_steps, {"request": request})
        return tuple(Proposed(name, step) for name, steps in found for step in steps)

    def _claims(self, hook: str, kind: type[C], facts: dict[str, Any]) -> list[C]:
        """The claims, each under its true plugin's name and with its findings' source set."""
        found = self._each(hook, one(kind), facts)
        claims = [(name, claim) for name, claim in found if claim is not None]
        return [
            replace(claim, plugin=name, findings=tuple(replace(item, source=name) for item in claim.findings))
            for name, claim in claims
        ]

    def _is_about(self, claim: C, said: str, asked: str) -> bool:
        if said == asked:
            return True
        self._blame(claim.plugin, "plugin.bad_result", f"was asked about {asked} and answered for {said}")
        return False

    def _each(self, hook: str, check: Callable[[object], T], facts: dict[str, Any]) -> list[tuple[str, T]]:
        """The checked answers of every implementation of `hook`, in order of plugin names."""
        answers: list[tuple[str, T]] = []
        found = ((plugin, impl) for plugin, impls in self._loaded.items() for impl in impls if impl.hook == hook)
        for plugin, impl in found:
            ask = partial(impl.function, **{name: facts[name] for name in impl.arguments})
            called = guard.call(partial(_ask_and_check, ask, check), alarm=self._alarm)
            if isinstance(called.error, Unanswered):
                self._findings.append(_silent(called.error))
            elif called.error:
                self._blame_call(plugin, hook, called)
            else:
                answers.append((plugin, called.value))
        return answers

    # ------------------------------------------------------------------ loading

    def _load(self, info: PluginInfo) -> None:
        if info.status.startswith("broken"):
            self._blame(info.name, "plugin.broken", f"cannot be used: {info.status.partition(': ')[2]}")
            return
        if info.api not in SUPPORTED_API:
            supported = f"{SUPPORTED_API[0]} to {SUPPORTED_API[-1]}"
            what = f"is written for plugin API {info.api}; supported are {supported}"
            self._blame(info.name, "plugin.api", what)
            return
        if why := _unsafe(info):
            self._blame(info.name, "plugin.broken", f"cannot be used: {why}")
            return
        called = guard.call(lambda: self._register(info), alarm=self._alarm)
        if called.error:
            self._blame(info.name, "plugin.broken", f"cannot be loaded: {called.problem}")
        else:
            self._units.update(info.units)

    def _register(self, info: PluginInfo) -> None:
        module = importlib.import_module(info.module)
        if twin := next((name for name, known in self._modules.items() if known is module), None):
            raise ValueError(f"{info.module} is the plugin {twin} already")
        self._loaded[info.name], self._modules[info.name] = find(module), module
        for name in misspelt(module):
            what = f"has {name}, which is no hook of this vfioctl or is not marked as one: it is never called"
            self._blame(info.name, "plugin.unknown_hook", what)

    # ------------------------------------------------------------------ blame

    def _blame_call(self, plugin: str, hook: str, called: guard.Called) -> None:
        match called.error:
            case guard.Hung():
                self._blame(plugin, "plugin.hung", f"{called.problem} from {hook}")
            case BadResultError():
                self._blame(plugin, "plugin.bad_result", f"returned from {hook} {called.error}")
            case _:
                self._blame(plugin, "plugin.failed", f"failed in {hook}: {called.problem}")

    def _blame(self, plugin: str, code: str, what: str) -> None:
        severity = Severity.BLOCK if plugin in self._required else Severity.WARN
        message = f"The plugin {plugin} {what}."
        self._findings.append(Finding(code, message, severity, "See it with: vfioctl plugins list", plugin))


def _silent(error: Unanswered) -> Finding:
    """What `host.ask` found is not the plugin's fault, and blocks: the start would wait there too."""
    return Finding(error.code, error.message, Severity.BLOCK, " ".join(error.hints))


def _unsafe(info: PluginInfo) -> str | None:
    """Why the plugin's code is not imported as root; of the core's own so much has run already that it is not asked."""
    if info.name == BUILT_IN:
        return None
    from vfioctl.package import writable  # a guest of the generic hand-off needs no other plugin

    return writable(info.module)


def _ask_and_check(ask: Callable[[], object], check: Callable[[object], T]) -> T:
    """The checked answer. One guarded call: a generator raises or hangs only while it is checked."""
    return check(ask())


def decide(claims: list[C], subject: str, handler: str | None) -> C | None:
    """The claim of highest rank; `handler` decides between equal ones. Raises Refused("plugin.tie")."""
    top = max((claim.rank for claim in claims), default=0)
    best = [claim for claim in claims if claim.rank == top]
    chosen = [claim for claim in best if claim.plugin == handler] or best
    if len(chosen) > 1:
        names = " and ".join(claim.plugin for claim in chosen)
        raise Refused(
            "plugin.tie",
            f"The plugins {names} both claim {subject}.",
            state="Nothing was changed.",
            hints=(f'Decide with the setting handler = "{chosen[0].plugin}" in the guest file.',),
        )
    return chosen[0] if chosen else None
