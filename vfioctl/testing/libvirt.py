"""Calls the installed hook as libvirtd 9.0 was seen to: same arguments, XML on stdin, same order of events.

Not a libvirtd: tests/libvirt has the real one. It starts the hook from a simulated host, without root.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from vfioctl.compose import Composition, compose
from vfioctl.setup.install import install
from vfioctl.testing.host import FakeHost
from vfioctl.testing.kernel import pid_files
from vfioctl.testing.model import FakeProcess
from vfioctl.wait import until

HOOK_DEADLINE = 120.0
ENTRY = "vfioctl.testing.entry"


@dataclass(frozen=True, slots=True)
class HookCall:
    """How one call of the hook ended."""

    operation: str
    status: int
    stderr: str


class FakeLibvirt:
    """The daemon's side of a hand-off on `host`. `composition` is what a command on that host would work with."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.composition: Composition = compose(host.root, ENTRY)
        self.calls: list[HookCall] = []
        self._guests: dict[str, int] = {}
        pid_files.make_place(host.root)

    def install(self) -> None:
        """Install the hook as `vfioctl hook install` does."""
        install(self.composition)

    def manage(self, guest: str, settings: str = "") -> None:
        """Write the guest file."""
        os.makedirs(self.host.paths.guest_configs, exist_ok=True)
        with open(self.host.paths.guest_config(guest), "w", encoding="utf-8") as file:
            file.write(settings)

    def call(self, guest: str, operation: str, sub_operation: str, xml: bytes) -> HookCall:
        """One call of the hook, in the environment that libvirt gives."""
        process = self.popen(guest, operation, sub_operation)
        _, stderr = process.communicate(xml, timeout=HOOK_DEADLINE)
        ended = HookCall(operation, process.returncode, stderr.decode(errors="replace"))
        self.calls.append(ended)
        return ended

    def popen(self, guest: str, operation: str, sub_operation: str) -> subprocess.Popen[bytes]:
        """The hook as a process of its own session, for tests that kill it."""
        return subprocess.Popen(
            [self.host.paths.shim, guest, operation, sub_operation, "-"], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", start_new_session=True,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
        )  # fmt: skip

    def start(self, guest: str, uuid: str, xml: bytes, *, addresses: tuple[str, ...] = ()) -> HookCall:
        """`virsh start`: prepare, start, QEMU with the devices open, started; a refusal ends in stopped and release."""
        prepared = self.call(guest, "prepare", "begin", xml)
        if prepared.status:
            self.gone(guest, xml)
            return prepared
        self.call(guest, "start", "begin", xml)
        self._guests[guest] = self.host.kernel.add_process(self.qemu(guest, uuid, addresses))
        self.call(guest, "started", "begin", xml)
        return prepared

    def qemu(self, guest: str, uuid: str, addresses: tuple[str, ...]) -> FakeProcess:
        """The guest's process, which holds the VFIO group of each device open."""
        groups = {os.path.basename(os.readlink(self.host.paths.pci(address, "iommu_group"))) for address in addresses}
        nodes = tuple(f"/dev/vfio/{group}" for group in sorted(groups))
        name = f"guest={guest.replace(',', ',,')},debug-threads=on"
        return FakeProcess(
            "qemu-system-x86", opens=(*nodes, "/dev/vfio/vfio") if nodes else (), unit="libvirtd.service",
            cmdline=("qemu-system-x86_64", "-name", name, "-uuid", uuid), guest=guest,
        )  # fmt: skip

    def adopt(self, guest: str, pid: int) -> None:
        """Take over a guest that another FakeLibvirt of this machine has started, as a restarted daemon does."""
        self._guests[guest] = pid

    def stop(self, guest: str, xml: bytes) -> HookCall:
        """`virsh destroy`: QEMU ends, then stopped and release."""
        self.end(guest)
        return self.gone(guest, xml)

    def end(self, guest: str) -> None:
        """QEMU ends, and the hook has not been called yet."""
        if pid := self._guests.pop(guest, 0):
            self.host.kernel.end_process(pid)

    def returned(self, uuid: str, *, seconds: float = 30.0) -> bool:
        """Whether the way back of the guest `uuid` has ended, its part after the hook included; waits for it."""
        return until(lambda: not os.path.exists(self.host.paths.boot_journal(uuid)), seconds)

    def gone(self, guest: str, xml: bytes) -> HookCall:
        """The two calls that follow a guest's end and a failed start alike."""
        self.call(guest, "stopped", "end", xml)
        pid_files.remove(self.host.root, guest)
        return self.call(guest, "release", "end", xml)
