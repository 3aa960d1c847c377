"""A shell on a simulated machine: `python -m vfioctl.testing.shell [MACHINE [COMMAND…]]`.

In it `vfioctl` works on that machine, and `virsh start|destroy GUEST` calls the installed hook as libvirt does.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from vfioctl import files
from vfioctl.handoff.markers import UNDONE_BY_SH
from vfioctl.host.host import Host
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.model import MachineSpec
from vfioctl.testing.scenarios import ALL, GPU, SOUND, named
from vfioctl.txn.journal import open_uuids
from vfioctl.wait import until

GUEST = "win11"
DOMAINS = "etc/libvirt/qemu"
RETURN_SECONDS = 60.0
USAGE = 2


def main(argv: Sequence[str]) -> int:
    """Start the machine, run the shell or the command in it, end the machine; its status is ours."""
    if argv[:1] == ["--virsh"]:
        return virsh(*argv[1:])
    if argv[:1] in (["-h"], ["--help"]):
        return _say(f"{__doc__}\nMachines: {', '.join(machine().name for machine in ALL)}", 0)
    name, *command = argv or (ALL[0]().name,)
    try:
        spec = named(name)
    except LookupError as error:
        return _say(f"{error}", USAGE)
    with tempfile.TemporaryDirectory(prefix="vfioctl-") as root, FakeHost(spec, root) as host:
        _furnish(host)
        shell = command or [os.environ.get("SHELL", "/bin/sh")]
        _say(f"A simulated machine: {spec.name}, below {root}. Leave it with: exit", 0)
        return subprocess.run(shell, cwd=root, env=_environment(host), check=False).returncode


def _furnish(host: FakeHost) -> None:
    """The hook, a guest with the card, and the two programs."""
    FakeLibvirt(host).install()
    devices = tuple(device.address for device in host.spec.devices if device.address in (GPU, SOUND))
    os.makedirs(host.paths.at(DOMAINS), exist_ok=True)
    files.atomic_write(host.paths.at(DOMAINS, f"{GUEST}.xml"), domain(GUEST, hostdevs=devices))
    ours = shlex.join((sys.executable, "-I", "-m", "vfioctl.testing.shell", "--virsh", host.root, host.spec.name))
    for name, call in (("vfioctl", shlex.join(host.argv)), ("virsh", ours)):
        files.atomic_write(host.paths.at("root", name), f'#!/bin/sh\nexec {call} "$@"\n', mode=0o755)


def _environment(host: FakeHost) -> dict[str, str]:
    return {**os.environ, "PATH": f"{host.paths.at('root')}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "PS1": "simulated# "}  # fmt: skip


def virsh(root: str, machine: str, verb: str = "", guest: str = "", *_: str) -> int:
    """`virsh start GUEST` and `virsh destroy GUEST` on the machine below `root`; returns when the card is home."""
    xml = files.read_text(os.path.join(root, DOMAINS, f"{guest}.xml"))
    if verb not in ("start", "destroy") or xml is None:
        return _say(f"The simulated virsh knows: start {GUEST}, destroy {GUEST}", USAGE)
    libvirt = FakeLibvirt(FakeHost(named(machine), root))
    return _start(libvirt, guest, xml, named(machine)) if verb == "start" else _destroy(libvirt, guest, xml)


def _start(libvirt: FakeLibvirt, guest: str, xml: str, spec: MachineSpec) -> int:
    given = tuple(device.address for device in spec.devices if device.address in (GPU, SOUND))
    ended = libvirt.start(guest, UUID, xml.encode(), addresses=given)
    if ended.status:
        return _say(f"error: Failed to start domain '{guest}'\nerror: {ended.stderr.strip()}", 1)
    return _say(f"Domain '{guest}' started", 0)


def _destroy(libvirt: FakeLibvirt, guest: str, xml: str) -> int:
    pid = Host(libvirt.host.paths, libvirt.host.programs).qemu_of(UUID)
    if pid is None:
        return _say(f"error: Domain '{guest}' is not running", 1)
    libvirt.adopt(guest, pid)
    libvirt.stop(guest, xml.encode())
    paths = libvirt.host.paths
    by_sh = os.path.join(paths.guest_markers(guest), UNDONE_BY_SH)
    until(lambda: os.path.exists(by_sh) or UUID not in open_uuids(paths), RETURN_SECONDS)
    return _say(f"Domain '{guest}' destroyed", 0)


def _say(text: str, status: int) -> int:
    sys.stderr.write(f"{text}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
