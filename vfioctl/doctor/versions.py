"""Whether libvirt calls drop-in hooks, and whether it and QEMU are versions that vfioctl is proven with. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.host.versions import DAEMONS, told

Version = tuple[int, ...]
EMULATORS = ("qemu-system-x86_64", "qemu-system-aarch64", "qemu-kvm")
LIBEXEC = "usr/libexec/qemu-kvm"  # of Fedora's and Red Hat's packages
DROP_INS: Version = (6, 5)  # since then libvirt runs the files in hooks/qemu.d (libvirt.org/hooks.html)
PROVEN_LIBVIRT: Version = (9, 0)  # Debian 12: docs/explanation/proof.md
PROVEN_QEMU: Version = (7, 2)


def findings(host: Host) -> Iterator[Finding]:
    """A libvirt that never calls the hook, no QEMU at all, and versions that nobody has tried."""
    if daemon := told(host, DAEMONS):
        yield from _libvirt(*daemon)
    emulator = told(host, (*EMULATORS, host.paths.at(LIBEXEC)))
    if emulator:
        yield from _unproven("QEMU", "qemu.unproven", PROVEN_QEMU, *emulator)
    elif not any(map(host.programs.find, EMULATORS)):
        yield Finding(
            "qemu.missing", "No QEMU is installed in the usual places, so no guest can start.", Severity.WARN,
            "Install it: qemu-system-x86 (Debian), qemu-kvm (Fedora), qemu-desktop (Arch).",
            evidence=f"none of {', '.join(EMULATORS)} in {host.programs.path}, and no /{LIBEXEC}",
        )  # fmt: skip


def _libvirt(name: str, version: Version) -> Iterator[Finding]:
    if version < DROP_INS:
        yield Finding(
            "libvirt.no_drop_ins",
            f"libvirt {_text(version)} does not look into hooks/qemu.d, so it starts guests without vfioctl.",
            hint=f"Install libvirt {_text(DROP_INS)} or later.", evidence=f"{name} --version",
        )  # fmt: skip
    else:
        yield from _unproven("libvirt", "libvirt.unproven", PROVEN_LIBVIRT, name, version)


def _unproven(what: str, code: str, proven: Version, name: str, version: Version) -> Iterator[Finding]:
    if version < proven:
        yield Finding(
            code, f"{what} is {_text(version)}; vfioctl is proven with {_text(proven)} and later.", Severity.INFO,
            "Nothing, while guests start and stop; else update it.", evidence=f"{name} --version",
        )  # fmt: skip


def _text(version: Version) -> str:
    return ".".join(map(str, version))
