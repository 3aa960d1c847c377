"""The hand-offs that the matrices run: machine, settings, domain, and the declared one-way effects of each.

Nothing that is not in `allowed` may differ after a return, a failure or a recovery.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vfioctl.handoff.notes import guest_lock
from vfioctl.host.stuck import all_stuck
from vfioctl.testing import scenarios, snapshot
from vfioctl.testing.crash import boundaries, crash_at, pause_at, paused
from vfioctl.testing.domains import UUID, DiskXml, domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt, HookCall
from vfioctl.testing.model import FakeModule, MachineSpec
from vfioctl.txn.journal import Story, read_both
from vfioctl.wait import until

ADDRESS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
GUEST = "win11"
GPU = "0000:01:00.0"
SOUND = "0000:01:00.1"
DISK = "/images/vda.qcow2"
NVRAM = "/nvram/win11_VARS.fd"
OLD = "vfioctl-20200101-000000"  # a snapshot of an earlier start

# What vfioctl itself keeps: outcomes, records, pins, logs, empty directories, lock files, the count of changes.
OUR_RECORDS = (
    "var/lib/vfioctl/history*", "var/lib/vfioctl/last*", "var/lib/vfioctl/identity*", "var/lib/vfioctl/journal",
    "var/log/vfioctl*", "run/vfioctl", "run/vfioctl/locks*", "run/vfioctl/generation", "run/vfioctl/journal",
    "run/vfioctl/guests", "run/vfioctl/managed*", "run/vfioctl/resources", "run/vfioctl/stuck*", "var/lib/vfioctl",
)  # fmt: skip
# The modules of vfio are loaded and kept: unloading them would break other guests. No device may stay with them.
VFIO_STAYS = (
    "sys/module/vfio*", "sys/bus/pci/drivers/vfio-pci", "sys/bus/pci/drivers/vfio-pci/*[a-z]", "dev/vfio",
    "dev/vfio/vfio",
)  # fmt: skip
# session = "end": alice's only session is gone, her user manager and its units with it; a greeter comes instead.
SESSION = (
    "session 2", "process * /user.slice/user-?*.slice/session-2.scope",
    "unit 1000/*", "process * /user.slice/user-1000.slice/user@1000.service/*",
    "session c1", "process lightdm-gtk-gre /user.slice/user-113.slice/session-c1.scope",
)  # fmt: skip
# With a screen on another card X runs there meanwhile, and does not open the card that comes back.
X_ON_ITS_SCREEN = "process Xorg /system.slice/lightdm.service"
# A snapshot and the copy of the NVRAM belong to the start that made them, and outlive it.
SNAPSHOT_KEPT = ("snapshot vfioctl-*", "file nvram/win11_VARS.fd.vfioctl-*")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One hand-off. `addresses` are what the guest gets in the end; `settings` the guest file."""

    name: str
    machine: Callable[[], MachineSpec]
    addresses: tuple[str, ...] = (GPU, SOUND)
    settings: str = ""
    allowed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()  # what stays once the start has succeeded
    with_disk: bool = False

    def xml(self, guest: str = GUEST, uuid: str = UUID) -> bytes:
        disks, nvram = ((DiskXml(DISK),), NVRAM) if self.with_disk else ((), None)
        return domain(guest, uuid=uuid, hostdevs=self.addresses[:1], disks=disks, nvram=nvram).encode()


def vega_with_vendor_reset() -> MachineSpec:
    """A Vega 56 whose reset is left to the module vendor-reset, and a greeter on it.

    Its methods are ones that the kernel takes back: "bus" it would refuse (tests/kinds/kernel/test_attributes.py).
    """
    machine = scenarios.single_gpu_amdgpu_desktop(logged_in=False)
    card, *others = machine.devices
    vega = replace(card, device=0x687F, reset_methods=("device_specific", "pm"))
    modules = (*machine.modules, FakeModule("vendor_reset", loaded=True))
    return replace(machine, devices=(vega, *others), modules=modules)


SCENARIOS = (
    Scenario("generic", scenarios.generic_nic, (GPU,)),
    Scenario(
        "nvidia-desktop", scenarios.single_gpu_nvidia_desktop, settings='session = "end"\n', allowed=SESSION,
    ),
    Scenario("nvidia-greeter", lambda: scenarios.single_gpu_nvidia_desktop(logged_in=False)),
    Scenario(
        "amdgpu-desktop", scenarios.single_gpu_amdgpu_desktop, settings='session = "end"\n',
        addresses=(GPU, SOUND, "0000:01:00.2", "0000:01:00.3"), allowed=SESSION,
    ),
    Scenario(
        "amdgpu-reset", vega_with_vendor_reset, settings="[amdgpu]\nreset = true\n",
        addresses=(GPU, SOUND, "0000:01:00.2", "0000:01:00.3"),
    ),
    Scenario(
        "amdgpu-unload", lambda: scenarios.single_gpu_amdgpu_desktop(logged_in=False),
        settings="[amdgpu]\nunload = true\n",
        addresses=(GPU, SOUND, "0000:01:00.2", "0000:01:00.3"),
    ),
    Scenario(
        "two-screens", scenarios.two_screens, settings='session = "end"\n', allowed=(*SESSION, X_ON_ITS_SCREEN),
    ),
    Scenario("container", scenarios.media_server, settings='containers = ["jellyfin"]\n'),
    Scenario("bochs-lab", scenarios.bochs_lab),
    Scenario("laptop", scenarios.laptop),
    Scenario("without-systemd", lambda: replace(scenarios.generic_nic(), systemd=False), (GPU,)),
    Scenario(
        "snapshot", scenarios.generic_nic, (GPU,), settings="[snapshot]\nenabled = true\nkeep = 1\n",
        kept=SNAPSHOT_KEPT, with_disk=True,
    ),
)  # fmt: skip
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@dataclass(slots=True)
class Running:
    """A call of the hook that has not ended yet."""

    operation: str
    process: subprocess.Popen[bytes]

    def wait(self) -> HookCall:
        _, stderr = self.process.communicate(timeout=120)
        return HookCall(self.operation, self.process.returncode, stderr.decode(errors="replace"))


class Stage:
    """One scenario on its machine, with the hook installed and a snapshot of the time before."""

    def __init__(self, scenario: Scenario, host: FakeHost) -> None:
        self.scenario = scenario
        self.host = host
        self.root = host.root
        self.libvirt = FakeLibvirt(host)
        self.libvirt.install()
        self.libvirt.manage(GUEST, scenario.settings)
        self.xml = scenario.xml()
        if scenario.with_disk:
            make_disk(self.root)
        self.before = self.look()

    def look(self) -> snapshot.Snapshot:
        """The machine, the simulated processes with what they hold, and the guest's images by content."""
        seen = snapshot.take(self.root)
        for process in self.host.kernel.processes():
            name = f"process {process['comm']} {process['cgroup']}"
            state = "stopped" if process["paused"] else "runs"
            seen[name] = f"{seen.get(name, '')}{state} with {sorted(process['files'])};"
        return seen | (look_at_disk(self.root) if self.scenario.with_disk else {})

    def prepare(self) -> HookCall:
        return self.libvirt.call(GUEST, "prepare", "begin", self.xml)

    def start(self) -> HookCall:
        return self.libvirt.start(GUEST, UUID, self.xml, addresses=self.scenario.addresses)

    def stop(self) -> None:
        self.libvirt.stop(GUEST, self.xml)
        self.wait_for_return()

    def wait_for_return(self, deadline: float = 30.0, *, uuid: str = UUID) -> bool:
        """Whether the detached part has ended and left nothing open."""
        return until(lambda: not os.path.exists(self.host.paths.boot_journal(uuid)), deadline)

    def guest_ends(self) -> None:
        """QEMU ends; the hook has not been called yet."""
        self.libvirt.end(GUEST)

    def hook(self, operation: str) -> int:
        """The hook's own process without the shim around it, so that nothing runs when it is killed. Its status."""
        argv = [*self.host.argv, "hook", GUEST, operation, "end" if operation == "release" else "begin", "-"]
        return subprocess.run(argv, input=self.xml, capture_output=True, check=False, timeout=120, cwd="/").returncode

    def set_guest_file(self, text: str) -> None:
        self.libvirt.manage(GUEST, text)
        self.before = self.look()

    def pause_at(self, number: int) -> None:
        pause_at(self.root, number)

    @contextmanager
    def paused_hook(self, operation: str) -> Iterator[Running]:
        """The hook, called as libvirt calls it, standing at the boundary of `pause_at`; after the block it goes on."""
        process = self.libvirt.popen(GUEST, operation, "end" if operation == "release" else "begin")
        running = Running(operation, process)
        assert process.stdin
        process.stdin.write(self.xml)
        process.stdin.close()
        process.stdin = None
        later = operation == "release"  # its second part stands in a process of its own
        until(lambda: paused(self.root) or (not later and process.poll() is not None), 30)
        pid = paused(self.root)
        if not pid:
            raise AssertionError(f"it did not come so far: {running.wait()}")
        try:
            yield running
        except BaseException:
            process.kill()
            running.wait()
            raise
        finally:
            os.kill(pid, signal.SIGCONT)

    def dead_man(self) -> dict[str, int]:
        """The units that watch over a start of the guest, a timer among them, and the process of each."""
        named = f"system/vfioctl-deadman-{UUID}-"  # and the attempt
        return {name: unit["pid"] for name, unit in self.host.kernel.units().items() if name.startswith(named)}

    def wait_for_rest(self) -> bool:
        """Whether nobody works on the guest any more, be it home or not."""
        lock = guest_lock(self.host.paths, UUID)
        unit, units = f"system/vfioctl-finish-{UUID}.service", self.host.kernel.units
        return until(lambda: unit not in units() and not lock.is_held_elsewhere(), 30)

    def wait_until_unstuck(self) -> bool:
        """Whether every write that hung has come to its end, and the processes that made them."""
        return until(lambda: not self.host.kernel.blocked() and not all_stuck(self.host.paths), 20)

    def last(self) -> dict[str, Any]:
        """The outcome that is kept for the user."""
        return json.loads(Path(self.host.paths.last(GUEST)).read_text())

    def device_of(self, write: dict[str, Any]) -> str:
        """The function that a write to the kernel is about, "" for none: by its path or, for a driver's file, value."""
        found = [*ADDRESS.findall(write["path"]), *ADDRESS.findall(write["value"])]
        return found[-1] if found else ""

    def crash_at(self, number: int | None) -> None:
        crash_at(self.root, number)

    def story(self) -> Story | None:
        return read_both(self.host.paths, UUID)

    def wait_for_crash(self, number: int) -> bool:
        """Whether the process that was to pass boundary `number` has done so, and has died of it."""
        lock = guest_lock(self.host.paths, UUID)
        return until(lambda: len(self.boundaries()) >= number and not lock.is_held_elsewhere(), 20)

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


def make_disk(root: str) -> None:
    """A qcow2 disk with some content and an old snapshot, the NVRAM and its old copy."""
    disk, nvram = root + DISK, root + NVRAM
    os.makedirs(os.path.dirname(disk), exist_ok=True)
    os.makedirs(os.path.dirname(nvram), exist_ok=True)
    for argv in (["create", "-q", "-f", "qcow2", disk, "1M"], ["snapshot", "-c", OLD, disk]):
        subprocess.run(["qemu-img", *argv], check=True)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", disk], check=True, capture_output=True)
    for path in (nvram, f"{nvram}.{OLD}"):
        Path(path).write_text("variables")


def look_at_disk(root: str) -> snapshot.Snapshot:
    """What a guest would find on its disk, the snapshots in it, and every file beside image and NVRAM."""
    shown = subprocess.run(["qemu-img", "info", "--output=json", root + DISK], check=True, capture_output=True)
    seen = {f"snapshot {one['name']}": "there" for one in json.loads(shown.stdout).get("snapshots", ())}
    raw = Path(root, "disk.raw")
    subprocess.run(["qemu-img", "convert", "-O", "raw", root + DISK, raw], check=True)
    seen["content of the disk"] = hashlib.sha256(raw.read_bytes()).hexdigest()
    raw.unlink()
    for file in (*Path(root, "images").iterdir(), *Path(root, "nvram").iterdir()):
        name = f"file {file.relative_to(root)}"
        seen[name] = "image" if file.name == os.path.basename(DISK) else file.read_text(errors="replace")
    return seen


@contextmanager
def stage(scenario: Scenario, directory: Path) -> Iterator[Stage]:
    """The scenario, ready to start."""
    with FakeHost(scenario.machine(), directory) as host:
        yield Stage(scenario, host)
