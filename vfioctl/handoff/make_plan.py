"""From an event's facts to a plan: which devices, which plugins, what they say. Reads; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from vfioctl.checking import TYPE_CHECKING
from vfioctl.compose import Composition
from vfioctl.config.load import load_guest
from vfioctl.config.model import GuestConfig
from vfioctl.errors import Refused
from vfioctl.events.model import Domain
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import frozen
from vfioctl.guard import Hung, clock
from vfioctl.handoff import identity
from vfioctl.handoff.devices import wanted
from vfioctl.handoff.planning import Order, plan
from vfioctl.log import Log
from vfioctl.plugin import manifest
from vfioctl.plugin.manager import Plugins, needed, select
from vfioctl.plugin.types import GpuHandoff, PluginInfo, Request
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.plan import Plan
from vfioctl.txn.planner import new_id
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Condition, Frees, Phase, StepProposal

if TYPE_CHECKING:
    from vfioctl.handoff.containers import Chosen
    from vfioctl.handoff.holders import Policy

CORE = "core"
DAEMONS = frozenset({  # what their stop means is to be said
    "docker.service", "snap.docker.dockerd.service", "containerd.service", "podman.service",
})  # fmt: skip


@frozen
class Planned:
    """A plan with what it was made of; `took` is what planning has taken of the time of prepare, in seconds."""

    plan: Plan
    request: Request
    took: float = 0.0


class Answers:
    """What plugins said so far."""

    def __init__(self, proposals: Iterable[Proposed], findings: Iterable[Finding]) -> None:
        self.proposals = list(proposals)
        self.findings = list(findings)
        self.back: list[Condition] = []
        self.containers: Chosen | None = None


def read_config(composition: Composition, guest: str, log: Log) -> tuple[GuestConfig, tuple[PluginInfo, ...]]:
    """The settings of `guest` and every known plugin; the manifest is rebuilt by a child when it is stale."""
    refresh = (*composition.self_argv, "plugins", "refresh")
    found = manifest.load(composition.paths, composition.programs, refresh)
    if found.rebuilt:
        log.notice(f"The manifest of plugins was rebuilt: {found.rebuilt}.", guest=guest)
    return load_guest(composition.paths, guest, {info.name: info for info in found.plugins}), found.plugins


def make_plan(
    composition: Composition, domain: Domain, config: GuestConfig, known: Sequence[PluginInfo], *,
    incoming: bool = False, ledger: Ledger | None = None, seconds: float | None = None,
) -> Planned:
    """The plan for a start of `domain` now, made within `seconds`, or else the setting deadlines.plan.

    Raises Refused where the parts contradict each other, and ("plan.deadline"). What may wait in the kernel is looked
    at in children, so the clock ends everything else.
    """
    limit = config.deadlines.plan if seconds is None else seconds
    try:
        with clock(limit):
            return _make_plan(composition, domain, config, known, incoming=incoming, ledger=ledger)
    except Hung as error:
        silent = ", ".join(composition.programs.silent)
        raise _too_late(config, silent) from error


def _too_late(config: GuestConfig, silent: str) -> Refused:
    from vfioctl.shell import argument, word

    why = f" {silent} did not answer." if silent else ""
    return Refused(
        "plan.deadline",
        f"{config.guest} was not started: what its start needs was not known within {config.deadlines.plan:g} s.{why}",
        state="Nothing was changed.",
        hints=(f"See what takes so long with: vfioctl plan {argument(config.guest)}",
               f"Give it more with: vfioctl config set deadlines.plan 60 --guest {word(config.guest)}"),
    )  # fmt: skip


def _make_plan(
    composition: Composition, domain: Domain, config: GuestConfig, known: Sequence[PluginInfo], *,
    incoming: bool, ledger: Ledger | None,
) -> Planned:  # fmt: skip
    host = composition.machine().host()
    chosen = wanted(domain, config, host)
    request = Request(
        guest=config.guest, uuid=domain.uuid, domain=domain, config=config, host=host, devices=chosen.devices,
        incoming=incoming, operation=new_id(),
    )  # fmt: skip
    usable = select(known, config, chosen.devices)
    plugins = Plugins(usable, required=needed(known, config, chosen.devices))
    said = _gather(plugins, request, known)
    findings = (
        *_names_of_plugins(config, known),
        *chosen.findings, *identity.check(composition.paths, domain.uuid, config.guest, chosen.devices),
        *said.findings, *plugins.findings, *_start(request, said.proposals),
    )  # fmt: skip
    order = Order(
        guest=config.guest, uuid=domain.uuid, devices=chosen.devices, proposals=tuple(said.proposals),
        policy=lambda: policy(request, usable, said.containers), back=tuple(said.back), findings=findings,
        budget=config.deadlines, id=request.operation,
    )  # fmt: skip
    return Planned(plan(order, host, ledger or Ledger(composition.paths)), request)


def _names_of_plugins(config: GuestConfig, known: Sequence[PluginInfo]) -> tuple[Finding, ...]:
    """What the settings name that is no plugin."""
    if not config.handler and not config.disabled_plugins:
        return ()
    from vfioctl.config.plugins import findings  # few guests need it

    return findings(config, [info.name for info in known])


def _gather(plugins: Plugins, request: Request, known: Sequence[PluginInfo]) -> Answers:
    for device in request.devices:
        request.host.disk_claims(device.address)  # kept; a disk at rest may take longer than a plugin is given
    if plugins.answer("vfioctl_snapshot"):
        _wake(request)
    said = Answers(_own_steps(request), (*plugins.preflight(request), *_groups(request, known)))
    _gather_containers(request, said)
    if request.devices:
        _gather_devices(plugins, request, said)
    said.proposals += [Proposed(item.plugin, item.step) for item in plugins.pre_start(request)]
    said.proposals += [Proposed(item.plugin, item.step) for item in plugins.post_stop(request)]
    _gather_snapshots(plugins, request, said)
    return said


def _gather_devices(plugins: Plugins, request: Request, said: Answers) -> None:
    """What is claimed, and what is given on the driver that it is on."""
    said.findings += _kept(request)
    for claim in _claims(plugins, request, said):
        said.proposals += [Proposed(claim.plugin, step) for step in claim.steps]
        said.findings += claim.findings
        said.back += claim.back


def _groups(request: Request, known: Sequence[PluginInfo]) -> tuple[Finding, ...]:
    """What shares the IOMMU groups of the devices and keeps them on the host."""
    if not request.host.unviable(device.address for device in request.devices):
        return ()
    from vfioctl.handoff import groups  # few starts need it

    return groups.findings(request, known)


def _wake(request: Request) -> None:
    """Look at what a snapshot is made of: a disk at rest may take longer than a plugin is given.

    A plugin that asks about one that does not answer now is told at once.
    """
    from vfioctl.host import looks

    named = (*(disk.source for disk in request.domain.disks if disk.type == "file"), request.domain.nvram)
    reach, paths = request.host.reach, request.host.paths
    for answer in looks.look(paths, tuple(looks.Question(path) for path in dict.fromkeys(named) if path)):
        if answer.hung:
            reach.silence(paths.at(answer.path))


def _start(request: Request, proposals: Iterable[Proposed]) -> tuple[Finding, ...]:
    """What would make QEMU or libvirt give up after the hook."""
    from vfioctl.handoff.startable import start_findings  # only guests with devices need it

    return start_findings(request, (item.step for item in proposals)) if request.devices else ()


def _claims(plugins: Plugins, request: Request, said: Answers) -> Iterable[GpuHandoff]:
    """One claim a device that moves; what a card's claim covers is not asked about. Cards are asked first."""
    from vfioctl.plugin.proposals import stays

    covered: set[str] = set()
    for device in sorted(request.devices, key=lambda device: not device.is_card):
        if device.address in covered or device.is_bridge or stays(device, request):
            continue
        claim = plugins.gpu_handoff(device, request.host, request.config, request)
        if claim is None:
            said.findings.append(_unclaimed(device.address))
            continue
        covered.update((claim.address, *claim.covers))
        yield claim


def _kept(request: Request) -> Iterable[Finding]:
    """A word about each device that is given on the driver that it is on; on vfio-pci that is nothing to tell."""
    from vfioctl.plugin.proposals import VFIO, takes_variants, target_driver  # a guest without a device does without it

    for device in request.devices:
        if device.driver in (None, VFIO) or target_driver(device.address, request) != device.driver:
            continue
        said = f"{device.address} stays on {device.driver}, which offers it to guests through VFIO"
        if takes_variants(request.host):
            yield Finding("driver.kept", f"{said}.", Severity.INFO)
        else:
            yield Finding(
                "driver.libvirt_old", f"{said}, and libvirt takes it there since 9.7 only: this one is older.",
                hint="Update libvirt; or ask for <driver model='vfio-pci'/> in the hostdev, which gives no vGPU.",
            )  # fmt: skip


def _unclaimed(address: str) -> Finding:
    return Finding(
        "device.unclaimed",
        f"No plugin hands {address} off.",
        hint="See which plugins there are with: vfioctl plugins list",
    )


def _gather_snapshots(plugins: Plugins, request: Request, said: Answers) -> None:
    for disk in request.domain.disks:
        if backend := plugins.snapshot(disk, request):
            said.proposals += [Proposed(backend.plugin, step) for step in (*backend.create, *backend.delete)]
            said.findings += backend.findings


def _gather_containers(request: Request, said: Answers) -> None:
    if not request.config.containers and DAEMONS.isdisjoint(request.config.units):
        return
    from vfioctl.handoff.containers import chosen  # few guest files list any

    said.containers = chosen(request)
    said.proposals += [Proposed(CORE, step) for step in said.containers.proposals]
    said.findings += said.containers.findings


def _own_steps(request: Request) -> Iterable[Proposed]:
    """The units that the guest file names are stopped for this guest, whoever else shares them."""
    for unit in request.config.units if request.host.booted_with_systemd() else ():
        yield Proposed(CORE, StepProposal(
            id=f"unit.stop:{unit}", kind="unit.stop", params={"unit": unit}, phase=Phase.BEFORE,
            reason="the guest file lists it under units", frees=(Frees(unit=unit),),
        ))  # fmt: skip


def policy(request: Request, plugins: Iterable[PluginInfo], containers: Chosen | None = None) -> Policy:
    """Who may be made to let go for this guest."""
    from vfioctl.handoff.holders import Policy  # only where somebody has the card open
    from vfioctl.host import guests

    manager = request.host.display_manager()
    named = {*request.config.units, *(unit for info in plugins for unit in info.units)}
    return Policy(
        units=frozenset(named | ({manager.name} if manager else set())),
        sessions=request.host.sessions(),
        end_sessions=request.config.session == "end",
        guest=request.guest,
        containers=containers.ids if containers else frozenset(),
        daemons=containers.daemons if containers else frozenset(),
        guests={pid: name for name, pid in guests.running(request.host.paths).items()},
    )


def is_managed(composition: Composition, guest: str) -> bool:
    """Whether `guest` has a guest file."""
    return os.path.lexists(composition.paths.guest_config(guest))


def warnings(planned: Planned) -> tuple[Finding, ...]:
    """What is to be said although it does not block."""
    return tuple(finding for finding in planned.plan.findings if finding.severity is Severity.WARN)
