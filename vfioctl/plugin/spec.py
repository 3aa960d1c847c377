"""The hook specifications: when each is called and what to return. No logic.

Hooks are keyword-only, get facts and return frozen data; the core has the effects. Order of implementations never
matters: a proposal has a phase and `before`/`after` ids. An exception costs the plugin, not the machine.
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
        DoctorCheck,
        Finding,
        GpuHandoff,
        Outcome,
        Request,
        SnapshotBackend,
        StepProposal,
    )


@hookspec
def vfioctl_gpu_handoff(
    gpu: PciDevice, host: Host, config: GuestConfig, request: Request | None
) -> GpuHandoff | None:
    """Return how to hand off `gpu`, or None when it is not yours. Called in prepare and by `plan`, once a device.

    The highest rank wins. Steps of phase GIVE free the device and bind it to vfio-pci. `request` tells the rest of
    what the guest gets; it is None when only one card is asked about. Take only the arguments that you need.
    """


@hookspec
def vfioctl_pre_start(request: Request) -> Iterable[StepProposal]:  # type: ignore[empty-body]
    """Return what must happen before the guest starts: sessions and units ended, sleep inhibited, disks kept."""


@hookspec
def vfioctl_post_stop(request: Request) -> Iterable[StepProposal]:  # type: ignore[empty-body]
    """Return what the way back does on top of undoing: verification, retention. Asked in prepare."""


@hookspec
def vfioctl_snapshot(disk: Disk, request: Request) -> SnapshotBackend | None:
    """Return how to snapshot `disk`, or None. Asked for each disk whose policy wants one."""


@hookspec
def vfioctl_preflight(request: Request) -> Iterable[Finding]:  # type: ignore[empty-body]
    """Return everything that is wrong, at once, before anything is touched."""


@hookspec
def vfioctl_doctor_checks() -> Iterable[DoctorCheck]:  # type: ignore[empty-body]
    """Return checks of the host, each with an optional fixer."""


@hookspec
def vfioctl_finished(outcome: Outcome) -> None:
    """Observe how a hand-off ended. Called in the detached part, never in the hook; exceptions are logged."""
