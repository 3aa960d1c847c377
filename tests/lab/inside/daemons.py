"""dbus, virtlogd, libvirtd and an X server in the machine, started by hand: there are no units here."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence

from card import openers
from report import CheckError, eventually

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "TERM": "dumb",
    "LIBVIRT_DEFAULT_URI": "qemu:///system",
}
QEMU_CONF = """
user = "root"
group = "root"
security_driver = "none"
remember_owner = 0
namespaces = []
"""
LIBVIRTD_CONF = """
host_uuid = "5a5c1f7e-6a0b-4d52-9c1e-0123456789ab"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
"""
XORG_CONF_PATH = "/run/lab-xorg.conf"
XORG_CONF = """
Section "Device"
  Identifier "card"
  Driver "modesetting"
  BusID "PCI:1:0:0"
  Option "AccelMethod" "none"
EndSection
"""


def run(argv: Sequence[str], deadline: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; stdout and stderr as text."""
    try:
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=ENVIRONMENT, timeout=deadline,
            check=False, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CheckError(f"{' '.join(argv)} did not end within {deadline:.0f} s.") from None


def must(argv: Sequence[str], deadline: float = 60.0) -> str:
    """Run a program that has to succeed; what it printed."""
    done = run(argv, deadline)
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        raise CheckError(f"{' '.join(argv)} ended with {done.returncode}: {said}")
    return done.stdout


def timed(argv: Sequence[str], deadline: float = 90.0) -> tuple[subprocess.CompletedProcess[str], float]:
    started = time.monotonic()
    done = run(argv, deadline)
    return done, time.monotonic() - started


def spawn(argv: Sequence[str], log: str) -> subprocess.Popen[bytes]:
    with open(log, "ab") as output:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=ENVIRONMENT,
            start_new_session=True,
        )  # fmt: skip


def prepare_host() -> None:
    """Mount what sockets and images need (Unix sockets cannot be bound on 9p) and configure libvirt."""
    must(["mount", "-t", "tmpfs", "tmpfs", "/var/lib/libvirt"])
    for path in ("qemu", "images", "boot", "dnsmasq"):
        os.makedirs(f"/var/lib/libvirt/{path}", exist_ok=True)
    for path in ("/run/dbus", "/run/libvirt", "/var/log/libvirt/qemu", "/var/cache/libvirt/qemu"):
        os.makedirs(path, exist_ok=True)
    for path, text in (("/etc/libvirt/qemu.conf", QEMU_CONF), ("/etc/libvirt/libvirtd.conf", LIBVIRTD_CONF)):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    must(["dbus-uuidgen", "--ensure=/etc/machine-id"])
    must(["dbus-daemon", "--system", "--fork"])
    must(["virtlogd", "-d"])


class Libvirtd:
    """The daemon: started, and restarted as an administrator would after a hook was installed."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def restart(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(30)
        self.process = spawn(["libvirtd"], "/var/log/libvirt/libvirtd.out")
        eventually(self._answers, 60, "libvirtd does not answer")

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    def _answers(self) -> bool:
        if self.process and self.process.poll() is not None:
            raise CheckError(f"libvirtd ended with {self.process.returncode}.")
        return os.path.exists("/run/libvirt/libvirt-sock") and run(["virsh", "version"]).returncode == 0


class XServer:
    """Xorg on the card, as somebody would start it by hand on a terminal."""

    def __init__(self) -> None:
        with open(XORG_CONF_PATH, "w", encoding="utf-8") as file:
            file.write(XORG_CONF)
        argv = ("Xorg", ":0", "vt7", "-retro", "-noreset", "-nolisten", "tcp", "-config", XORG_CONF_PATH)
        self.process = spawn(argv, "/var/log/xorg.out")
        self.pid = self.process.pid

    def wait(self) -> None:
        """Until it holds the card."""
        eventually(self._holds, 60, "Xorg does not open /dev/dri/card0")

    def _holds(self) -> bool:
        if self.process.poll() is not None:
            raise CheckError(f"Xorg ended with {self.process.returncode}; see /var/log/xorg.out.")
        return self.pid in openers("/dev/dri/card0") and os.path.exists("/tmp/.X11-unix/X0")

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)
