"""A shell on a simulated machine: `python -m vfioctl.testing.shell [MACHINE [COMMAND…]]`, or `vfioctl demo --shell`.

In it `vfioctl` works on that machine, and `virsh` calls its installed hook as libvirt does (testing/virsh.py).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from vfioctl import files
from vfioctl.testing import shells
from vfioctl.testing.domains import domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.scenarios import ALL, GPU, SOUND, named
from vfioctl.testing.virsh import DOMAINS

GUEST = "win11"
USAGE = 2


def main(argv: Sequence[str]) -> int:
    """Start the machine, run the shell or the command in it, end the machine; its status is ours."""
    if argv[:1] in (["-h"], ["--help"]):
        return _say(f"{__doc__}\nMachines: {', '.join(machine().name for machine in ALL)}", 0)
    name, *command = argv or (ALL[0]().name,)
    try:
        spec = named(name)
    except LookupError as error:
        return _say(f"{error}", USAGE)
    with tempfile.TemporaryDirectory(prefix="vfioctl-") as root, FakeHost(spec, root) as host:
        _furnish(host)
        environment = shells.environment(os.environ, host.paths.at("root"))
        if not command:
            _say(f"A simulated machine: {spec.name}, below {root}. Leave it with: exit", 0)
            command = shells.command(os.environ.get("SHELL", ""), host.paths.at("root"), environment)
        return subprocess.run(command, cwd=root, env=environment, check=False).returncode


def _furnish(host: FakeHost) -> None:
    """The hook, a guest with the card, and the two programs; virsh also where vfioctl looks for it."""
    FakeLibvirt(host).install()
    devices = tuple(device.address for device in host.spec.devices if device.address in (GPU, SOUND))
    os.makedirs(host.paths.at(DOMAINS))
    files.atomic_write(host.paths.at(DOMAINS, f"{GUEST}.xml"), domain(GUEST, hostdevs=devices))
    ours = shlex.join((sys.executable, "-I", "-m", "vfioctl.testing.virsh", host.root, host.spec.name))
    programs = (("root/vfioctl", shlex.join(host.argv)), ("root/virsh", ours), ("usr/bin/virsh", ours))
    for place, call in programs:
        files.atomic_write(host.paths.at(place), f'#!/bin/sh\nexec {call} "$@"\n', mode=0o755)


def _say(text: str, status: int) -> int:
    sys.stderr.write(f"{text}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
