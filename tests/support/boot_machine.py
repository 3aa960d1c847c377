"""A real Debian that boots by firmware and a boot loader from its own disks, under QEMU without KVM, and does what it
is told on a serial line. Two disks, so that nothing is partitioned: what firmware reads, and the root file system.
"""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import linux_guest

from tests.lab import loaders, sources, tree

PACKAGES = (
    "systemd-sysv", "udev", "dbus", "linux-image-cloud-amd64", "initramfs-tools", "busybox", "kmod", "python3",
    "python3-libvirt", "pciutils",
)  # fmt: skip
FIRMWARE = Path(loaders.FIRMWARE), Path(loaders.VARIABLES)
PROGRAMS = ("mmdebstrap", "mformat", "mmd", "mcopy", "mke2fs", "qemu-img", "qemu-system-x86_64", "dpkg-deb")
OWN = Path(__file__).with_name("boot_machine_root")
# Without a word Debian turns the IOMMU on (CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF): here somebody has turned it off.
WORDS = "root=/dev/vdb rw console=ttyS0 mitigations=off no_timer_check intel_iommu=off"
MACHINE = "0123456789abcdef0123456789abcdef"  # its id
SIZE = "1400M"
DEADLINE = 1500.0
BOOT = 600.0


def missing() -> str:
    """Why it cannot be made here, or ""."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=linux_guest.SBIN) is None]
    absent += [str(path) for path in FIRMWARE if not path.exists()]
    return f"the machine needs {', '.join(absent)}" if absent else ""


class Disks:
    """Its two disks, with the Debian package `package` installed, in the directory `place`. Takes minutes."""

    def __init__(self, place: Path, loader: str, package: Path) -> None:
        self.place, self.loader = place, loader
        self.root, self.esp = place / "root.raw", place / "esp.raw"
        made = place / "tree"
        tree.make(
            str(made), sources.own_suite(), (*PACKAGES, *loaders.PACKAGES[loader]), self._options(package), DEADLINE
        )
        (made / "etc/machine-id").write_text(f"{MACHINE}\n")  # mmdebstrap makes trees without one
        self._fill_esp(made)
        run("mke2fs", "-q", "-t", "ext4", "-d", str(made), str(self.root), SIZE)
        shutil.rmtree(made)

    def _options(self, package: Path) -> list[str]:
        """The initrd is told to be small before the kernel comes; `prepare` does the rest, in the finished tree."""
        (self.place / "words").write_text(f"{WORDS}\n")
        return [
            f'--essential-hook={OWN}/small_initrd "$1"',
            f'--customize-hook={OWN}/prepare "$1" {package} {self.place}/words {self.loader} {MACHINE}',
        ]

    def _fill_esp(self, made: Path) -> None:
        """What `prepare` has left for the firmware's disk goes there, directory by directory."""
        with self.esp.open("wb") as disk:
            disk.truncate(linux_guest.SECTORS << 9)
        size = ("-h", linux_guest.HEADS, "-s", linux_guest.TRACK, "-T", str(linux_guest.SECTORS))
        run("mformat", "-i", str(self.esp), *size, "-v", "ESP", "::")
        left = made / "esp"
        run("mcopy", "-s", "-i", str(self.esp), *map(str, sorted(left.iterdir())), "::")
        shutil.rmtree(left)


class Machine:
    """The machine of the `disks`, which runs until it is closed."""

    def __init__(self, disks: Disks) -> None:
        place = disks.place
        shutil.copy(FIRMWARE[1], place / "vars.fd")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{place}/line")
        self.listener.listen(1)
        self.log = place / "console"
        self.process = subprocess.Popen(self._argv(disks))
        self.line, _ = self.listener.accept()
        self.received = b""
        self.wait("ready")

    def _argv(self, disks: Disks) -> list[str]:
        place = disks.place
        flash = "if=pflash,format=raw,unit"
        return [
            "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
            "-m", "1G", "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none",
            "-device", "intel-iommu", "-net", "none",
            "-drive", f"{flash}=0,readonly=on,file={FIRMWARE[0]}", "-drive", f"{flash}=1,file={place}/vars.fd",
            "-drive", f"if=virtio,format=raw,file={disks.esp}", "-drive", f"if=virtio,format=raw,file={disks.root}",
            "-serial", f"file:{place}/console", "-serial", f"unix:{place}/line",
        ]  # fmt: skip

    def wait(self, sort: str, limit: float = BOOT) -> list[str]:
        """The words of its next line that begins with `sort`, within `limit` seconds."""
        until = time.monotonic() + limit
        while True:
            text, newline, rest = self.received.partition(b"\n")
            if not newline:
                self.line.settimeout(max(0.01, until - time.monotonic()))
                try:
                    self.received += self.line.recv(1 << 16)
                except TimeoutError:
                    raise AssertionError(f"no {sort} within {limit:.0f} s: {self.log.read_text()[-3000:]}") from None
                continue
            self.received = rest
            first, *words = text.decode(errors="replace").split() or [""]
            if first == sort:
                return words

    def run(self, command: str, *, status: int = 0) -> str:
        """What a command of the shell says on both streams; it ends with `status`."""
        self.line.sendall(f"{command}\n".encode())
        ended, *said = self.wait("answer")
        text = base64.b64decode("".join(said)).decode(errors="replace")
        assert int(ended) == status, f"{command}: {ended}\n{text}"
        return text

    def restart(self) -> None:
        """Boot once more, as a person would; the answer may come or not."""
        self.line.sendall(b"systemctl reboot\n")
        self.wait("ready")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for one in (self.line, self.listener):
            one.close()


def run(*argv: str, **options: Any) -> None:
    """Raises CalledProcessError, with what the program said."""
    subprocess.run(argv, check=True, capture_output=True, env={"PATH": linux_guest.SBIN}, **options)
