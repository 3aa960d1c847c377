"""FakeHost: one simulated machine below a directory, for as long as a `with` block lasts."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from types import TracebackType

from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.testing import guest_files, programs
from vfioctl.testing.control import Control
from vfioctl.testing.forkserver import Served, fork_server
from vfioctl.testing.model import MachineSpec, to_json
from vfioctl.testing.server import MOUNT, READY
from vfioctl.testing.stores import stores

START_DEADLINE = 20.0
ENTRY = ("-I", "-m", "vfioctl.testing.entry")
DIRECTORIES = (
    ".kit/units", MOUNT, "etc/vfioctl/guests", "etc/libvirt/hooks", "run", "var/lib", "var/log", "tmp", "root",
    "usr/lib/modules",
)  # fmt: skip


class FakeHost:
    """A machine that several processes share. `kernel` talks to it; `paths` and `programs` are what the code gets.

    Needs /dev/fuse and fusermount3 (package fuse3); works as root and as an ordinary user in a directory of theirs.
    The serving process ends with the block, and with the process that made it, whatever happens to that one.
    """

    def __init__(self, spec: MachineSpec, root: str | os.PathLike[str]) -> None:
        self.spec = spec
        self.root = os.path.abspath(os.fspath(root))
        self.paths = Paths(self.root)
        self.programs = Programs(self.paths.programs)
        self.kernel = Control(self.root)
        self.argv = (sys.executable, *ENTRY, "--root", self.root)
        self._server: Served | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> FakeHost:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Build the plain directories, and start the machine. Raises RuntimeError with what it said when it cannot."""
        self._build()
        ours, theirs = socket.socketpair()
        log = os.path.join(self.root, ".kit", "server.log")
        with theirs, open(log, "wb") as output:
            self._server = fork_server().start(self.root, theirs.fileno(), output.fileno())
        self._socket = ours
        ours.settimeout(START_DEADLINE)
        if ours.recv(len(READY)) != READY:
            self.stop()
            with open(log, encoding="utf-8", errors="replace") as file:
                raise RuntimeError(f"the simulated machine did not start: {file.read()}")

    def _build(self) -> None:
        for directory in DIRECTORIES:
            os.makedirs(os.path.join(self.root, directory), exist_ok=True)
        if self.spec.systemd:
            os.makedirs(os.path.join(self.root, "run/systemd/system"), exist_ok=True)
        for name in ("sys", "proc", "dev"):
            programs.link(f"{MOUNT}/{name}", os.path.join(self.root, name))
        programs.link("usr/lib", os.path.join(self.root, "lib"))
        programs.install(self.root)
        guest_files.install(self.root)
        self._write("etc/passwd", "".join(
            f"{name}:x:{uid}:{uid}::/home/{name}:/bin/sh\n" for uid, name in self.spec.users))
        self._write("etc/os-release", 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n')
        for path, text in stores(self.spec):
            os.makedirs(os.path.dirname(os.path.join(self.root, path)), exist_ok=True)
            self._write(path, text)
        self._write(".kit/spec.json", to_json(self.spec))
        modules = os.path.join("usr/lib/modules", self.spec.kernel)
        os.makedirs(os.path.join(self.root, modules), exist_ok=True)
        aliases = (f"alias {alias} {module.name}\n" for module in self.spec.modules for alias in module.aliases)
        self._write(f"{modules}/modules.alias", "".join(aliases))

    def _write(self, path: str, text: str) -> None:
        with open(os.path.join(self.root, path), "w", encoding="utf-8") as file:
            file.write(text)

    def reboot(self, spec: MachineSpec | None = None) -> None:
        """A power cut and a boot: the machine as at the start, /run empty, the disk as it was."""
        self.kernel.boot(spec)
        shutil.rmtree(os.path.join(self.root, "run"))
        os.makedirs(os.path.join(self.root, "run/systemd/system" if self.spec.systemd else "run"))

    def stop(self) -> None:
        """End the machine and take the mount away. Callers that wait in it get an error."""
        if self._socket:
            self._socket.close()
            self._socket = None
        if self._server:
            if not self._server.has_ended(START_DEADLINE):
                self._server.kill()
                self._server.has_ended(START_DEADLINE)
            self._server.forget()
            self._server = None
