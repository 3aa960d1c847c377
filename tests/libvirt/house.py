"""A simulated host with a real libvirtd in it: the kit's machine, our hook installed by our command, real guests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from libvirt_machine import uri_of

from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import MachineSpec
from vfioctl.testing.snapshot import Snapshot, difference, take
from vfioctl.wait import until

GPU = "0000:01:00.0"
SOUND = "0000:01:00.1"
BOTH = (GPU, SOUND)
DEADLINE, SLOW = 30.0, 120.0


def with_vfio(spec: MachineSpec) -> MachineSpec:
    """The machine with the vfio modules loaded already: loading them is the one change that is kept."""
    modules = (replace(mod, loaded=True) if mod.name.startswith("vfio") else mod for mod in spec.modules)
    return replace(spec, modules=tuple(modules))


# The daemon of the lab is that of the simulated host, whose root is not "/".
ENTRY = """
import sys
from vfioctl.actions import libvirt
from vfioctl.testing.entry import main
libvirt.OURS = sys.argv[2]
sys.exit(main(sys.argv[1:]))
"""


class House:
    """`host` is simulated, `lab` is real; the hook is installed and the daemon runs."""

    def __init__(self, host: FakeHost, lab: Any) -> None:
        self.host = host
        self.lab = lab

    def cli(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run one command of vfioctl on this host."""
        return subprocess.run([*self.host.argv, *argv], capture_output=True, text=True, check=False, timeout=DEADLINE)

    def verb(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a verb of guests on this host with the daemon of the lab, which is real, as its own."""
        command = [sys.executable, "-I", "-c", ENTRY, "--root", self.host.root, *argv, "--node", uri_of(self.lab)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SLOW, cwd="/")

    def own(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run one command where the daemon of the lab is qemu:///system, as it is on a host of one's own."""
        return subprocess.run(self.own_argv(*argv), capture_output=True, text=True, check=False, timeout=SLOW, cwd="/")

    def own_argv(self, *argv: str) -> list[str]:
        """The same as a command line, for those who kill it."""
        return list(self.lab.inside(sys.executable, "-I", "-c", ENTRY, "--root", self.host.root, *argv))

    def guest(self, name: str, *devices: str, more: str = "", manage: bool = True, xml: str = "") -> str:
        """Define a guest and give it its file, with `devices` and further lines; returns its UUID."""
        if manage:
            listed = ", ".join(f'"{device}"' for device in devices)
            Path(self.host.paths.guest_config(name)).write_text(f"devices = [{listed}]\n{more}\n")
        return str(self.lab.define(name, devices=xml))

    def start(self, name: str) -> subprocess.CompletedProcess[str]:
        """`virsh start`, whether it succeeds or not."""
        done: subprocess.CompletedProcess[str] = self.lab.virsh("start", "--domain", name, check=False)
        return done

    def run(self, name: str) -> None:
        """`virsh start` that must succeed."""
        done = self.start(name)
        assert done.returncode == 0, done.stderr + self.log()

    def stop(self, name: str) -> None:
        self.lab.virsh("destroy", "--domain", name)

    def driver(self, address: str) -> str:
        """The driver of a device, as its link says; "" for none."""
        try:
            return os.path.basename(os.readlink(self.host.paths.pci(address, "driver")))
        except FileNotFoundError:
            return ""

    def drivers(self, *addresses: str) -> list[str]:
        return [self.driver(address) for address in addresses or BOTH]

    def is_active(self, unit: str) -> bool:
        return bool(self.host.kernel.units()[f"system/{unit}"]["active"] == "active")

    def look(self, *files: str) -> Snapshot:
        """The whole machine as a snapshot: sysfs, nodes, units, sessions, and the plain directories `files`."""
        return take(self.host.root, files=files)

    def changed(self, before: Snapshot, *files: str, allowed: Iterable[str] = ()) -> tuple[str, ...]:
        """What is not as it was, a line each."""
        return difference(before, self.look(*files), allowed=allowed)

    def is_over(self) -> bool:
        """Whether no hand-off is open: no journal, no mark."""
        places = (self.host.paths.markers, os.path.dirname(self.host.paths.boot_journal("x")),
                  os.path.dirname(self.host.paths.disk_journal("x")))  # fmt: skip
        return not any(os.listdir(place) for place in places if os.path.isdir(place))

    def comes_home(self, *drivers: str, within: float = DEADLINE) -> bool:
        """Whether both functions are on `drivers` again and nothing is left open."""
        return until(lambda: self.drivers() == list(drivers) and self.is_over(), within)

    def log(self) -> str:
        """What our log says, for a test that fails."""
        return "".join(path.read_text() for path in Path(self.host.paths.log).glob("*.log"))
