"""How tests touch a simulated machine from outside: with plain file operations and programs, as anyone would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from vfioctl.testing.host import FakeHost
from vfioctl.wait import until

SECONDS = 10.0


class Machine:
    """A started machine with short names for what tests do to it."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.root = Path(host.root)
        self.kernel = host.kernel
        self.children: list[subprocess.Popen[bytes]] = []

    def read(self, path: str) -> str:
        return (self.root / path).read_text().rstrip("\n")

    def write(self, path: str, value: str) -> None:
        fd = os.open(self.root / path, os.O_WRONLY)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)

    def pci(self, address: str, name: str) -> str:
        return f"sys/bus/pci/devices/{address}/{name}"

    def driver(self, address: str) -> str | None:
        try:
            return os.path.basename(os.readlink(self.root / self.pci(address, "driver")))
        except FileNotFoundError:
            return None

    def to_vfio(self, address: str) -> None:
        """Aim, unbind and probe, as everyone does."""
        self.run("modprobe", "vfio-pci")
        self.write(self.pci(address, "driver_override"), "vfio-pci")
        if driver := self.driver(address):
            self.write(f"sys/bus/pci/drivers/{driver}/unbind", address)
        self.write("sys/bus/pci/drivers_probe", address)

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Call a program of the machine."""
        program = self.root / "usr/bin" / argv[0]
        return subprocess.run([program, *argv[1:]], capture_output=True, text=True, timeout=SECONDS, check=False)

    def popen(self, *argv: str) -> subprocess.Popen[bytes]:
        """The same, without waiting for its end."""
        child = subprocess.Popen([self.root / "usr/bin" / argv[0], *argv[1:]], stderr=subprocess.DEVNULL)
        self.children.append(child)
        return child

    def in_background(self, code: str, *arguments: str) -> subprocess.Popen[bytes]:
        """A process of its own that runs `code` with the machine's root in sys.argv[1]."""
        child = subprocess.Popen([sys.executable, "-I", "-c", code, str(self.root), *arguments])
        self.children.append(child)
        return child

    def write_in_background(self, path: str, value: str) -> subprocess.Popen[bytes]:
        code = "import os, sys; f = os.open(sys.argv[1] + '/' + sys.argv[2], 1); os.write(f, sys.argv[3].encode())"
        return self.in_background(code, path, value)

    def is_blocked(self, child: subprocess.Popen[bytes]) -> bool:
        """Whether `child` waits in the simulated kernel."""
        return any(one["pid"] == child.pid for one in self.kernel.blocked())

    def ended(self, child: subprocess.Popen[bytes]) -> bool:
        return until(lambda: child.poll() is not None, SECONDS)
