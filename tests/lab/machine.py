"""The machine of the smoke test: QEMU arguments, and what this computer must have. Starts nothing."""

from __future__ import annotations

import glob
import os
import shutil
from dataclasses import dataclass

# A VT-d IOMMU, and a graphics card with sound: two functions behind one root port, in one IOMMU group.
DEVICES = (
    "-machine q35",
    "-device intel-iommu,intremap=on,caching-mode=on",
    "-device pcie-root-port,id=rp1,chassis=1,slot=1",
    "-device VGA,id=gpu0,bus=rp1,multifunction=on,addr=0.0",
    "-device ich9-intel-hda,id=snd0,bus=rp1,addr=0.1",
    # a codec: without one there is no /dev/snd/controlC0
    "-audiodev none,id=a0",
    "-device hda-duplex,bus=snd0.0,audiodev=a0",
    # the root file system once more, for a mount that caches: inside/start.sh
    "-fsdev local,id=labroot,path=/,security_model=none,readonly=on,multidevs=remap",
    "-device virtio-9p-pci,fsdev=labroot,mount_tag=labroot",
)
KERNEL_ARGUMENTS = "intel_iommu=on iommu=pt mitigations=off loglevel=5"

PACKAGES = (
    "qemu-system-x86",
    "qemu-utils",
    "libvirt-daemon-system",
    "libvirt-clients",
    "linux-image-amd64",
    "xserver-xorg-core",
    "dbus",
    "kmod",
    "busybox-static",
    "udev",
)
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "libvirtd": "libvirt-daemon-system",
    "virtlogd": "libvirt-daemon-system",
    "virsh": "libvirt-clients",
    "Xorg": "xserver-xorg-core",
    "dbus-daemon": "dbus",
    "modprobe": "kmod",
    "busybox": "busybox-static",
}
# Inside, fresh file systems lie on these: nothing below them can be seen there.
HIDDEN = ("/run", "/var/tmp", "/var/log", "/var/cache", "/dev", "/proc", "/sys")


@dataclass(frozen=True, slots=True)
class Boot:
    """One machine to boot: the kernel and virtme-ng's vng, which puts the serial console on stderr."""

    vng: str
    kernel: str

    def argv(self, command: str) -> list[str]:
        """The command line that boots and runs `command` inside; its end ends the machine."""
        return [
            self.vng, "--verbose", "--run", self.kernel, "--disable-kvm", "--disable-microvm", "--force-9p",
            "--cpus", "2", "--memory", "4G", "--append", KERNEL_ARGUMENTS,
            f"--qemu-opts={' '.join(DEVICES)}", "--exec", command,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """The environment for vng, which looks for its own helpers in PATH."""
        path = f"{os.path.dirname(self.vng)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "LC_ALL": "C.UTF-8", "HOME": os.environ.get("HOME", "/root"), "TERM": "dumb"}


def newest_kernel() -> str | None:
    """The newest kernel in /boot whose modules are installed."""
    kernels = [path for path in glob.glob("/boot/vmlinuz-*") if os.path.isdir(modules_of(path))]
    return max(kernels, key=os.path.getmtime, default=None)


def modules_of(kernel: str) -> str:
    return f"/lib/modules/{os.path.basename(kernel).removeprefix('vmlinuz-')}"


def find_vng(venv: str) -> str | None:
    """virtme-ng's vng: in the virtual environment, else in PATH."""
    inside = os.path.join(venv, "bin", "vng")
    return inside if os.access(inside, os.X_OK) else shutil.which("vng")


def cached_places(venv: str, checkout: str) -> tuple[str, ...]:
    """The directories that the programs inside come from; none lies in another one."""
    python = os.path.realpath(os.path.join(venv, "bin", "python"))
    wanted = sorted({"/usr", venv, checkout, os.path.dirname(os.path.dirname(python))})
    return tuple(place for place in wanted if not place.startswith(tuple(f"{other}/" for other in wanted)))


def obstacles(venv: str, checkout: str, *, needs_vfioctl: bool) -> tuple[str, ...]:
    """Each reason why the machine cannot run here, as a sentence."""
    found = []
    if os.geteuid() != 0:
        found.append("The smoke test needs root: inside, the files of the checkout must belong to root.")
    path = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    missing = sorted({package for name, package in PROGRAMS.items() if not shutil.which(name, path=path)})
    if newest_kernel() is None:
        missing.append("linux-image-amd64")
    if missing:
        found.append(f"Packages are missing: apt-get install --no-install-recommends {' '.join(missing)}")
    if find_vng(venv) is None:
        found.append(f"virtme-ng is missing: {venv}/bin/pip install virtme-ng")
    if needs_vfioctl and not os.access(os.path.join(venv, "bin", "vfioctl"), os.X_OK):
        found.append(f"vfioctl is not installed in {venv}: {venv}/bin/pip install . ./plugins/*")
    for place in (venv, checkout):
        if os.path.realpath(place).startswith(tuple(f"{hidden}/" for hidden in HIDDEN)):
            found.append(f"{place} cannot be seen inside the machine: a fresh file system lies on it there.")
    return tuple(found)
