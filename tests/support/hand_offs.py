"""The hand-offs that the matrices run: machine, settings, domain, and the declared one-way effects of each.

Nothing that is not in `allowed` may differ after a return, a failure or a recovery.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vfioctl.testing import scenarios, snapshot
from vfioctl.testing.crash import boundaries, crash_at
from vfioctl.testing.domains import UUID, DiskXml, domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt, HookCall
from vfioctl.testing.model import FakeModule, MachineSpec
from vfioctl.wait import until

GUEST = "win11"
GPU = "0000:01:00.0"
SOUND = "0000:01:00.1"

# What vfioctl itself keeps: outcomes, records, pins, logs, empty directories, lock files, the count of changes.
OUR_RECORDS = (
    "var/lib/vfioctl/history*", "var/lib/vfioctl/last*", "var/lib/vfioctl/identity*", "var/lib/vfioctl/journal",
    "var/log/vfioctl*", "run/vfioctl", "run/vfioctl/locks*", "run/vfioctl/generation", "run/vfioctl/journal",
    "run/vfioctl/guests", "run/vfioctl/resources", "run/vfioctl/stuck*", "var/lib/vfioctl",
)  # fmt: skip
# The modules of vfio are loaded and kept: unloading them would break other guests.
VFIO_STAYS = ("sys/module/vfio*", "sys/bus/pci/drivers/vfio-pci*", "dev/vfio*", "sys/class/vfio*")
# The aperture is gone for good: the kernel unregisters the firmware's framebuffer, there is nothing to rebind.
APERTURE = ("sys/bus/platform/*framebuffer*", "sys/devices/*framebuffer*", "sys/class/graphics*")
# session = "end": the user's session and what ran in their manager are gone; a new greeter comes.
SESSION = ("session *", "unit 1000/*")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One hand-off. `addresses` are what the guest gets in the end; `settings` the guest file."""

    name: str
    machine: Callable[[], MachineSpec]
    addresses: tuple[str, ...] = (GPU, SOUND)
    settings: str = ""
    allowed: tuple[str, ...] = ()
    with_disk: bool = False

    def xml(self, root: str, guest: str = GUEST, uuid: str = UUID) -> bytes:
        disks = (DiskXml(os.path.join(root, "disk.qcow2")),) if self.with_disk else ()
        return domain(guest, uuid=uuid, hostdevs=self.addresses[:1], disks=disks).encode()


def vega_with_vendor_reset() -> MachineSpec:
    """A Vega 56 whose reset is left to the module vendor-reset, and a greeter on it."""
    machine = scenarios.single_gpu_amdgpu_desktop(logged_in=False)
    card, *others = machine.devices
    modules = (*machine.modules, FakeModule("vendor_reset", loaded=True))
    return replace(machine, devices=(replace(card, device=0x687F), *others), modules=modules)


SCENARIOS = (
    Scenario("generic", scenarios.generic_nic, (GPU,)),
    Scenario(
        "nvidia-desktop", scenarios.single_gpu_nvidia_desktop, settings='session = "end"\n', allowed=SESSION,
    ),
    Scenario("nvidia-greeter", lambda: scenarios.single_gpu_nvidia_desktop(logged_in=False), allowed=("session *",)),
    Scenario(
        "amdgpu-desktop", scenarios.single_gpu_amdgpu_desktop, settings='session = "end"\n',
        addresses=(GPU, SOUND, "0000:01:00.2", "0000:01:00.3"), allowed=(*SESSION, *APERTURE),
    ),
    Scenario(
        "amdgpu-reset", vega_with_vendor_reset, settings="[amdgpu]\nreset = true\n",
        addresses=(GPU, SOUND, "0000:01:00.2", "0000:01:00.3"), allowed=("session *", *APERTURE),
    ),
    Scenario(
        "amdgpu-unload", lambda: scenarios.single_gpu_amdgpu_desktop(logged_in=False),
        settings="[amdgpu]\nunload = true\n",
        addresses=(GPU, SOUND, "0000:01:00.2", "0000:01:00.3"), allowed=("session *", *APERTURE),
    ),
    Scenario("bochs-lab", scenarios.bochs_lab, allowed=("session *", *APERTURE)),
    Scenario("laptop", scenarios.laptop),
    Scenario("without-systemd", lambda: replace(scenarios.generic_nic(), systemd=False), (GPU,)),
)  # fmt: skip
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


class Stage:
    """One scenario on its machine, with the hook installed and a snapshot of the time before."""

    def __init__(self, scenario: Scenario, host: FakeHost) -> None:
        self.scenario = scenario
        self.host = host
        self.root = host.root
        self.libvirt = FakeLibvirt(host)
        self.libvirt.install()
        self.libvirt.manage(GUEST, scenario.settings)
        self.xml = scenario.xml(self.root)
        self.before = self.look()

    def look(self) -> snapshot.Snapshot:
        return snapshot.take(self.root)

    def prepare(self) -> HookCall:
        return self.libvirt.call(GUEST, "prepare", "begin", self.xml)

    def start(self) -> HookCall:
        return self.libvirt.start(GUEST, UUID, self.xml, addresses=self.scenario.addresses)

    def stop(self) -> None:
        self.libvirt.stop(GUEST, self.xml)
        self.wait_for_return()

    def wait_for_return(self, deadline: float = 30.0) -> bool:
        """Whether the detached part has ended and left nothing open."""
        return until(lambda: not os.path.exists(self.host.paths.boot_journal(UUID)), deadline)

    def crash_at(self, number: int | None) -> None:
        crash_at(self.root, number)

    def boundaries(self) -> tuple[str, ...]:
        return boundaries(self.root)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A vfioctl command on this machine, as its own process."""
        return subprocess.run(
            [*self.host.argv, *arguments], capture_output=True, text=True, check=False, timeout=120, cwd="/",
        )  # fmt: skip

    def differences(self, *more: str) -> tuple[str, ...]:
        """What is not as it was before, and not declared either."""
        allowed = (*OUR_RECORDS, *VFIO_STAYS, *self.scenario.allowed, *more)
        return snapshot.difference(self.before, self.look(), allowed=allowed)


@contextmanager
def stage(scenario: Scenario, directory: Path) -> Iterator[Stage]:
    """The scenario, ready to start."""
    with FakeHost(scenario.machine(), directory) as host:
        yield Stage(scenario, host)
