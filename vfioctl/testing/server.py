"""The process that is the simulated machine: mounts it, serves it, and goes when its test goes."""

from __future__ import annotations

import os
import re
import select
import subprocess

from vfioctl.testing.fuse import Mount, Session
from vfioctl.testing.kernel.nodes import Directory
from vfioctl.testing.model import from_json
from vfioctl.testing.userspace.machine import Machine
from vfioctl.testing.userspace.systemd import Unit

MOUNT = ".machine"
READY = b"ready\n"


class Server:
    """Serves one machine below `root` until told to stop, or until the other end of `parent` is closed."""

    def __init__(self, root: str, parent: int) -> None:
        self.root = root
        self.parent = parent
        with open(os.path.join(root, ".kit", "spec.json"), encoding="utf-8") as file:
            spec = from_json(file.read())
        self.session: Session | None = None
        self.machine = Machine(spec, root, forget=self._forget, spawn=self._spawn)
        self.mountpoint = os.path.join(root, MOUNT)

    def _forget(self, parent: Directory, name: str) -> None:
        if self.session:
            self.session.forget_entry(parent, name)

    def _spawn(self, unit: Unit) -> int:
        """Start the real process of a transient unit: a session of its own, no descriptor of ours, its own log."""
        log = os.path.join(self.root, ".kit", "units", re.sub(r"[^\w.@-]", "_", unit.name) + ".log")
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        environment = {
            "PATH": ":".join(os.path.join(self.root, part) for part in ("usr/sbin", "usr/bin")),
            "LANG": "C.UTF-8", "INVOCATION_ID": f"{len(self.machine.systemd.log_names):032x}", **unit.environment,
        }  # fmt: skip
        program = unit.command[0]
        if not program.startswith("/"):
            program = next((found for place in environment["PATH"].split(":")
                            if os.access(found := os.path.join(place, program), os.X_OK)), program)
        try:
            child = subprocess.Popen(
                [program, *unit.command[1:]], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
                env=environment, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(output)
        child.returncode = 0  # reaped by the simulated systemd
        return child.pid

    def run(self) -> None:
        """Mount, say that it is ready, and serve."""
        mounted = Mount(self.mountpoint, shared=os.getuid() == 0)
        fd = mounted.fd
        self.session = Session(fd, self.machine)
        os.write(self.parent, READY)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.register(self.parent, select.POLLIN)
        try:
            self._serve(poll, fd)
        finally:
            self.machine.systemd.end_all()
            mounted.end()

    def _serve(self, poll: select.poll, fd: int) -> None:
        assert self.session
        while not self.machine.stopping:
            wait = self.machine.systemd.waits_for()
            for ready, event in poll.poll(None if wait is None else wait * 1000):
                if ready == self.parent or (event & select.POLLERR):
                    return
                if ready == fd and not self.session.step():
                    return
            self.machine.systemd.tick()
            self.machine.kernel.pump()
