"""A private libvirtd with QEMU under TCG, in a mount namespace of its own. Never touches the machine's /etc/libvirt."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from vfioctl.wait import until

PROGRAMS = ("libvirtd", "virsh", "qemu-system-x86_64", "unshare", "nsenter")
NETWORK_PROGRAMS = ("dnsmasq", "ip", "iptables", "nft")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
URI = "qemu:///system"
COMMAND_DEADLINE = 60
QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
remember_owner = 0
stdio_handler = "file"
namespaces = []
cgroup_controllers = []
"""
SCREENS = 50  # of one process at once
# Holds the namespace until its stdin ends, so that a test run that is killed leaves no daemon and no guest behind.
HOLD = """\
set -e
for place in /run/libvirt /var/lib/libvirt /var/log/libvirt; do
    mkdir -p "$place"; mount -t tmpfs tmpfs "$place"
done
mkdir -p /run/lock /var/cache/libvirt /var/lib/libvirt/qemu /var/lib/libvirt/images /var/lib/libvirt/boot \
    /var/lib/libvirt/dnsmasq /var/log/libvirt/qemu
mount --bind "$2" /var/cache/libvirt
if [ -n "$3" ]; then mount --bind "$3" /run/libvirt; fi
mount --bind "$1" /etc/libvirt
if [ -n "$4" ]; then
    # A sysfs shows the interfaces of the namespace in which it was mounted; what lies below the old one stays.
    mkdir -p "$4"; mount --rbind /sys/fs/cgroup "$4"
    mount -t sysfs sysfs /sys; mount --rbind "$4" /sys/fs/cgroup
    ip link set lo up
fi
if [ -e /dev/kvm ]; then
    # One that is there and does not work would be taken; one that cannot be written to is not. The rest of /dev stays
    # as it is: what is made later, such as the node of a macvtap, is to be seen.
    : >"$5"; mount --bind "$5" /dev/kvm; mount -o remount,bind,ro /dev/kvm
fi
echo ready
cat >/dev/null
here=$(readlink /proc/self/ns/mnt)
for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    [ "$pid" = $$ ] || [ "$(readlink "$process/ns/mnt")" != "$here" ] || kill -9 "$pid" 2>/dev/null || :
done
"""
GUEST = """\
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    {devices}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def _displays() -> str:
    """Ports for the screens of this process's guests: the labs of pytest-xdist's other workers share our loopback."""
    first = 5900 + SCREENS * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return f"remote_display_port_min = {first}\nremote_display_port_max = {first + SCREENS - 1}\n"


def missing(*more: str) -> str:
    """Why ring 2, with `more` programs, cannot run here, or ""."""
    absent = [name for name in (*PROGRAMS, *more) if shutil.which(name, path=SYSTEM_PATH) is None]
    if os.geteuid() != 0:
        return "ring 2 needs root for a private mount namespace"
    return f"ring 2 needs {', '.join(absent)}" if absent else ""


def version() -> tuple[int, int]:
    """Major and minor version of the daemon, as `libvirtd --version` says them: "libvirtd (libvirt) 9.0.0"."""
    argv = ["libvirtd", "--version"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, env={"PATH": SYSTEM_PATH}).stdout
    major, minor, *_ = said.split()[-1].split(".")
    return int(major), int(minor)


class Lab:
    """One private libvirtd. `etc` becomes its /etc/libvirt, so a hook below `etc` is its hook.

    `run`, where it is given, becomes its /run/libvirt: a simulated host sees its pid files then. With `networks` it has
    a network namespace of its own, in which there is nothing but a loopback: networks of libvirt start there. There is
    no KVM, so that guests run everywhere, and alike.
    """

    def __init__(
        self, work: Path, etc: Path, cache: Path, run: Path | None = None, *, networks: bool = False
    ) -> None:
        self.networks = networks
        self.work = work
        self.etc = etc
        self.cache = cache
        self.run = run
        self.log = work / "libvirtd.log"
        self.pid_file = work / "libvirtd.pid"
        self.environment = {"PATH": SYSTEM_PATH, "HOME": "/root"}
        self._holder: subprocess.Popen[str] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None
        self._clients: list[subprocess.Popen[str]] = []

    # -- the namespace ---------------------------------------------------------------------------

    def open(self) -> None:
        """Make the namespace; mounts that exist now (a simulated host) are visible inside."""
        self._write_configuration()
        cgroups = self.work / "cgroup" if self.networks else ""
        places = (str(self.etc), str(self.cache), str(self.run or ""), str(cgroups), str(self.work / "kvm"))
        self._holder = subprocess.Popen(
            ["unshare", "-m", *(["-n"] if self.networks else []), "--propagation", "private", "sh", "-c", HOLD, "hold",
             *places],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n", "the namespace could not be made"

    def _write_configuration(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        self.cache.mkdir(parents=True, exist_ok=True)
        shutil.copytree("/etc/libvirt", self.etc, dirs_exist_ok=True)
        shutil.rmtree(self.etc / "qemu", ignore_errors=True)  # no autostarted network, no guest of the machine
        (self.etc / "hooks/qemu.d").mkdir(parents=True, exist_ok=True)
        (self.etc / "qemu.conf").write_text(QEMU_CONF + ("" if self.networks else _displays()))
        (self.etc / "libvirtd.conf").write_text(f'host_uuid = "{uuid.uuid4()}"\n')

    @property
    def holder_pid(self) -> int:
        """The process that keeps the namespace: what lies in it is below /proc/PID/root."""
        assert self._holder is not None
        return self._holder.pid

    @property
    def namespace(self) -> str:
        """The mount namespace, as /proc/PID/ns/mnt names it."""
        return os.readlink(f"/proc/{self.holder_pid}/ns/mnt")

    @property
    def uri(self) -> str:
        """The daemon's URI for a process outside of the namespace."""
        assert self._holder is not None
        return f"qemu+unix:///system?socket=/proc/{self._holder.pid}/root/run/libvirt/libvirt-sock"

    def inside(self, *argv: str) -> list[str]:
        """`argv` so that it runs in the namespace, as the very process that is started."""
        assert self._holder is not None
        return ["nsenter", "-t", str(self._holder.pid), "-m", *(["-n"] if self.networks else []), *argv]

    def pids(self) -> list[int]:
        """Every process in the namespace but its holder: daemon, guests, hooks and what they left behind."""
        assert self._holder is not None
        here = self.namespace
        found = []
        for name in os.listdir("/proc"):
            with suppress(OSError):
                if name.isdigit() and os.readlink(f"/proc/{name}/ns/mnt") == here:
                    found.append(int(name))
        family = {self._holder.pid, *self.children(self._holder.pid)}
        return [pid for pid in found if pid not in family]

    @staticmethod
    def children(pid: int) -> list[int]:
        """The children of a process, whichever of its threads started them."""
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for task in tasks for child in task.read_text().split()]

    def close(self) -> None:
        """End everything that runs in the namespace, and the namespace with it."""
        if self._holder is None:
            return
        for pid in self.pids():
            kill(pid)
        if self._daemon:
            self._daemon.wait(COMMAND_DEADLINE)
        for client in self._clients:
            client.communicate(timeout=COMMAND_DEADLINE)
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.wait(COMMAND_DEADLINE)
        self._holder.stdout.close()
        self._holder = self._daemon = None

    # -- the daemon ------------------------------------------------------------------------------

    @property
    def daemon_pid(self) -> int:
        assert self._daemon is not None
        return self._daemon.pid

    def let_members_ask(self) -> None:
        """From its next start the group "daemon" may ask the daemon, as the group libvirt may on a host."""
        with (self.etc / "libvirtd.conf").open("a") as file:
            file.write('unix_sock_group = "daemon"\nunix_sock_rw_perms = "0770"\nauth_unix_rw = "none"\n')

    def start(
        self, *options: str, wrapper: Sequence[str] = (), environment: Mapping[str, str] = {}
    ) -> None:
        """Start libvirtd with further `options`, below `wrapper` if given, and wait until it answers."""
        with self.log.open("ab") as log:
            self._daemon = subprocess.Popen(
                self.inside(*wrapper, "libvirtd", *options, "-p", str(self.pid_file)), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env={**self.environment, **environment}, cwd="/", start_new_session=True,
            )  # fmt: skip
        assert until(self.answers, COMMAND_DEADLINE), self.log.read_text(errors="replace")[-2000:]

    def answers(self) -> bool:
        """Whether the daemon answers a question that no running hook holds up."""
        return self.virsh("version", check=False).returncode == 0

    def stop(self) -> None:
        """End libvirtd as an init system does; guests go on running."""
        assert self._daemon is not None
        self._daemon.terminate()
        self._daemon.wait(COMMAND_DEADLINE)

    def restart(self) -> None:
        self.stop()
        self.start()

    def sigkill(self, *, guests: bool = False) -> None:
        """Kill libvirtd, and with `guests` every QEMU at the same moment."""
        assert self._daemon is not None
        victims = [self.daemon_pid, *(self.qemu_pids() if guests else [])]
        for pid in victims:
            kill(pid)
        self._daemon.wait(COMMAND_DEADLINE)

    def qemu_pids(self) -> list[int]:
        return [pid for pid in self.pids() if comm(pid).startswith("qemu-system")]

    # -- guests and hooks ------------------------------------------------------------------------

    def virsh(
        self, *argv: str, check: bool = True, timeout: float = COMMAND_DEADLINE
    ) -> subprocess.CompletedProcess[str]:
        """Run virsh to its end. Raises subprocess.TimeoutExpired, and AssertionError on failure with `check`."""
        done = subprocess.run(
            self.inside("virsh", "-c", URI, *argv), capture_output=True, text=True, timeout=timeout,
            env=self.environment, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done

    def virsh_in_background(self, *argv: str) -> subprocess.Popen[str]:
        """Start virsh; `close` waits for it if the caller does not."""
        client = subprocess.Popen(
            self.inside("virsh", "-c", URI, *argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=self.environment,
        )  # fmt: skip
        self._clients.append(client)
        return client

    def define(self, name: str, *, devices: str = "", guest_uuid: str | None = None) -> str:
        """Define a diskless TCG guest with further `devices` as XML; returns its UUID."""
        guest_uuid = guest_uuid or str(uuid.uuid4())
        escaped = name.replace("&", "&amp;").replace("<", "&lt;")
        file = self.work / f"{guest_uuid}.xml"
        file.write_text(GUEST.format(name=escaped, uuid=guest_uuid, devices=devices), encoding="utf-8")
        self.virsh("define", str(file))
        return guest_uuid

    def state(self, guest: str) -> str:
        return self.virsh("domstate", "--domain", guest).stdout.strip()

    def hook(self, name: str, body: str) -> Path:
        """Put an executable sh drop-in called `name` into qemu.d, whole or not at all."""
        path = self.etc / "hooks/qemu.d" / name
        fresh = path.with_name(f".{name}")
        fresh.write_text(f"#!/bin/sh\n{body}")
        fresh.chmod(0o755)
        fresh.rename(path)
        return path


def comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def is_running(pid: int) -> bool:
    """Whether `pid` runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int) -> None:
    """Send SIGKILL to `pid` when it is there still."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
