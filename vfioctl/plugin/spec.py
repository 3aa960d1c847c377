"""The hook specifications: when each is called, how often, with what, and what an empty answer means. No logic.

Hooks are keyword-only, get facts and return frozen data; the core has the effects. Order of implementations never
matters: a proposal has a phase and `before`/`after` ids. An exception costs the plugin, not the machine. The body of a
specification returns what a plugin that leaves the hook out answers.
"""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.plugin.markers import hookspec

if TYPE_CHECKING:
    from vfioctl.config.model import GuestConfig
    from vfioctl.events.model import Disk
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice
    from vfioctl.plugin.types import (
        ConfigFile,
        DoctorCheck,
        Finding,
        GpuHandoff,
        Outcome,
        Request,
        SnapshotBackend,
        StepProposal,
        TemplateSource,
    )


@hookspec
def vfioctl_gpu_handoff(
    gpu: PciDevice, host: Host, config: GuestConfig, request: Request | None
) -> GpuHandoff | None:
    """Return how to hand off `gpu`, or None when it is not yours.

    When: in prepare and by `vfioctl plan`, once for each device that the guest gets, cards first. A device that an
    earlier claim covers is not asked about.

    With: `request` tells the rest of what the guest gets; it is None when only one card is asked about.

    Answer: the claim of the highest rank wins, and two equal ones refuse the start. Steps of phase GIVE free the
    device and bind it to vfio-pci. A finding that blocks refuses the start. None leaves the device to other plugins;
    the built-in one claims whatever nobody else does.

    Example:

        @hookimpl
        def vfioctl_gpu_handoff(gpu: PciDevice, host: Host, request: Request | None) -> GpuHandoff | None:
            if gpu.driver != "xe":
                return None
            given = given_functions(gpu, host, request)
            steps = [step for one in given for step in (override(one, "vfio-pci"), bind(one, "vfio-pci"))]
            return vendor_claim("xe", given, (), lambda: steps, home_conditions(given, host))
    """


@hookspec
def vfioctl_pre_start(request: Request) -> Iterable[StepProposal]:
    """Return what must happen before the guest starts: sessions and units ended, sleep inhibited, disks kept.

    When: in prepare and by `vfioctl plan`, once, after the checks and the claims on devices. Nothing is changed yet.

    Answer: steps, which the core sorts among those of others, applies, and undoes when the guest has stopped or a later
    step fails. No step means that the plugin has nothing to do for this guest.

    Example:

        @hookimpl
        def vfioctl_pre_start(request: Request) -> Iterable[StepProposal]:
            yield unit_stop("ollama.service", "it would take the card again")
    """
    return ()


@hookspec
def vfioctl_post_stop(request: Request) -> Iterable[StepProposal]:
    """Return what the way back does on top of undoing: verification, retention.

    When: in prepare and by `vfioctl plan`, once, so that the way back needs no plugin. The steps run when the
    guest has stopped: those of phase RETURN while libvirt waits, those of phase AFTER once it no longer does.

    Answer: steps of the phases RETURN and AFTER. No step means that undoing is all.

    Example:

        @hookimpl
        def vfioctl_post_stop(request: Request) -> Iterable[StepProposal]:
            yield StepProposal(
                id="backup.start", kind="unit.start", params={"unit": "backup.service"},
                reason="the guest's disks are at rest now", phase=Phase.AFTER, best_effort=True,
            )
    """
    return ()


@hookspec
def vfioctl_snapshot(disk: Disk, request: Request) -> SnapshotBackend | None:
    """Return how to snapshot `disk`, or None when it cannot or must not be done by this plugin.

    When: in prepare and by `vfioctl plan`, once for each disk of the domain, of the plugins that this guest uses.

    Answer: the claim of the highest rank wins, and two equal ones refuse the start. `create` runs before the start,
    `delete` after the stop. None means that the plugin leaves this disk alone; without a claim it has no snapshot.

    Example:

        @hookimpl
        def vfioctl_snapshot(disk: Disk, request: Request) -> SnapshotBackend | None:
            if disk.format != "qcow2" or not disk.source:
                return None
            keep = StepProposal(
                id=f"mine:{disk.target}", kind="disk.snapshot", reason="the guest may break it", phase=Phase.BEFORE,
                params={"backend": "qcow2", "path": disk.source, "name": "before-start"},
            )
            return SnapshotBackend("mine", disk.target, VENDOR_RANK, create=(keep,))
    """


@hookspec
def vfioctl_preflight(request: Request) -> Iterable[Finding]:
    """Return everything that is wrong, at once, before anything is touched.

    When: in prepare and by `vfioctl plan`, once, before the other hooks. All findings are shown together.

    Answer: a finding of severity BLOCK refuses the start, WARN and INFO are shown. No finding means that nothing speaks
    against the start.

    Example:

        @hookimpl
        def vfioctl_preflight(request: Request) -> Iterable[Finding]:
            if not request.host.iommu_on():
                yield Finding("mine.no_iommu", "The IOMMU is off.", hint="Turn it on in the firmware.")
    """
    return ()


@hookspec
def vfioctl_doctor_checks() -> Iterable[DoctorCheck]:
    """Return checks of the host, and fixers of what they find.

    When: by `vfioctl doctor`, never while a guest starts. A fixer is called by `vfioctl doctor --fix`, once for each
    finding of its code, and returns the change: it makes none itself.

    Answer: checks, each run with the facts of the host. No check means that the plugin has nothing to examine. The
    `evidence` of a finding is what was read, and where.

    Example:

        @hookimpl
        def vfioctl_doctor_checks() -> Iterable[DoctorCheck]:
            yield DoctorCheck("mine.iommu", "The IOMMU is on.", lambda host: () if host.iommu_on() else (OFF,))
    """
    return ()


@hookspec
def vfioctl_template_sources() -> Iterable[TemplateSource]:
    """Return images that are published for everybody, of which templates can be made.

    When: never while a guest starts. By `vfioctl template sources`, and for the option --source.

    Answer: sources. Of two with one name both are listed, and neither is taken. No source means that the plugin knows
    none.

    Example:

        @hookimpl
        def vfioctl_template_sources() -> Iterable[TemplateSource]:
            place = "https://images.example/gold"
            yield TemplateSource("gold", "Gold", "3", "x86_64", f"{place}/gold.qcow2", f"{place}/SHA256SUMS")
    """
    return ()


@hookspec
def vfioctl_config_files(host: Host) -> Iterable[ConfigFile]:
    """Return the files of configuration that are this plugin's own, with what is wrong in each.

    When: never while a guest starts. By `vfioctl config validate` without a guest, and by `vfioctl doctor`; without
    root, too.

    Answer: each file that is there; a finding names file and line. `judged_settings` reads one as strictly as vfioctl's
    own. No file means that the plugin has none.

    Example:

        @hookimpl
        def vfioctl_config_files(host: Host) -> Iterable[ConfigFile]:
            file = os.path.join(host.paths.etc, "mine.toml")
            if os.path.exists(file):
                _, wrong = judged_settings(host.paths, file, [Setting("size", "int", 1, "How large.")])
                yield ConfigFile(file, tuple(Finding(one.code, one.message) for one in wrong))
    """
    return ()


@hookspec
def vfioctl_finished(outcome: Outcome) -> None:
    """Observe how a hand-off ended.

    When: once after each return that libvirt's hook has begun, as a guest stops, in the part that runs after the hook
    has ended, never in the hook itself. A start that was refused or undone, and what `vfioctl recover`, the service at
    boot or the dead-man has brought home, stand in the history alone.

    Answer: none; what it raises is logged and changes nothing.

    Example:

        @hookimpl
        def vfioctl_finished(outcome: Outcome) -> None:
            with open("/run/mine/last", "w", encoding="utf-8") as file:
                file.write(f"{outcome.guest} {outcome.ok}")
    """
