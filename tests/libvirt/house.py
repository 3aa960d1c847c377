"""A simulated host with a real libvirtd in it: the kit's machine, our hook installed by our command, real guests."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import MachineSpec
from vfioctl.wait import until

GPU = "0000:01:00.0"
SOUND = "0000:01:00.1"
BOTH = (GPU, SOUND)
DEADLINE = 30.0
UNREADABLE = "?"


def with_vfio(spec: MachineSpec) -> MachineSpec:
    """The machine with the vfio modules loaded already: loading them is the one change that is kept."""
    modules = (replace(mod, loaded=True) if mod.name.startswith("vfio") else mod for mod in spec.modules)
    return replace(spec, modules=tuple(modules))


class House:
    """`host` is simulated, `lab` is real; the hook is installed and the daemon runs."""

    def __init__(self, host: FakeHost, lab: Any) -> None:
        self.host = host
        self.lab = lab

    def cli(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run one command of vfioctl on this host."""
        return subprocess.run([*self.host.argv, *argv], capture_output=True, text=True, check=False, timeout=DEADLINE)

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
        return bool(self.host.kernel.units()[f"system/{unit}"]["active"])

    def machine(self) -> dict[str, Any]:
        """Everything that a hand-off could change: each file and link of sysfs, units, modules, sessions, processes."""
        kernel = self.host.kernel
        units = {name: unit["active"] for name, unit in kernel.units().items() if not unit["transient"]}
        tree = {path: _content(path) for path in _walk(os.path.realpath(self.host.paths.sys))}
        processes = sorted((process["comm"], process["pid"]) for process in kernel.processes())
        rest = {"modules": kernel.modules(), "sessions": kernel.sessions(), "processes": processes}
        return {**tree, **rest, "units": units}

    def state(self) -> dict[str, str]:
        """Our own files below /run and /var/lib, without the log and the last outcome."""
        found = {}
        for place in (self.host.paths.run, self.host.paths.state):
            for path in _walk(place):
                if "/last/" not in path and "/locks/" not in path and not os.path.isdir(path):
                    found[path] = _content(path)
        return found

    def is_over(self) -> bool:
        """Whether no hand-off is open: no journal, no mark."""
        left = [path for path in self.state() if "/journal/" in path or "/run/vfioctl/guests/" in path]
        return not left

    def comes_home(self, *drivers: str, within: float = DEADLINE) -> bool:
        """Whether both functions are on `drivers` again and nothing is left open."""
        return until(lambda: self.drivers() == list(drivers) and self.is_over(), within)

    def log(self) -> str:
        """What our log says, for a test that fails."""
        return "".join(path.read_text() for path in Path(self.host.paths.log).glob("*.log"))


def _walk(top: str) -> list[str]:
    found = []
    for directory, directories, names in os.walk(top):
        found += [os.path.join(directory, name) for name in (*directories, *names)]
    return sorted(found)


def _content(path: str) -> str:
    if os.path.islink(path):
        return f"-> {os.readlink(path)}"
    if os.path.isdir(path):
        return "directory"
    try:
        return Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return UNREADABLE  # write-only, such as unbind
