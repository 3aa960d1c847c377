"""What has to be installed for guests, as the command of this distribution; and who may manage them. Reads only."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from vfioctl_setup.loaders.model import seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.plugin import Host

PARTS = {
    "QEMU": ("qemu-system-x86_64", "qemu-kvm", "qemu-system-aarch64", "/usr/libexec/qemu-kvm"),  # the last: Red Hat's
    "libvirt": ("libvirtd", "virtqemud"),
    "virsh": ("virsh",),
}  # by the programs that show it
FIRMWARE = ("/usr/share/qemu/firmware", "/etc/qemu/firmware")
COMMANDS = {  # by ID and ID_LIKE of os-release(5)
    "debian": "apt install qemu-system-x86 qemu-utils libvirt-daemon-system libvirt-clients ovmf",
    "fedora": "dnf install qemu-kvm qemu-img libvirt-daemon-kvm libvirt-client edk2-ovmf",
    "arch": "pacman -S --needed qemu-base libvirt edk2-ovmf",
    "suse": "zypper install qemu-kvm qemu-tools libvirt-daemon-qemu libvirt-client qemu-ovmf-x86_64",
}
GROUP = "libvirt"


def missing(host: Host) -> tuple[str, ...]:
    """What of the parts is not installed."""
    names = [part for part, programs in PARTS.items() if not any(_find(host, name) for name in programs)]
    has_firmware = any(name.endswith(".json") for place in FIRMWARE for name in _names(host, place))
    return (*names, *(() if has_firmware else ("UEFI firmware",)))


def command(host: Host) -> str:
    """The command that installs them here; "" where the distribution is not known."""
    return next((COMMANDS[name] for name in _distribution(host) if name in COMMANDS), "")


def is_known(host: Host, user: str) -> bool:
    """Whether there is such a user: in passwd(5), or of this computer from elsewhere: nsswitch.conf(5)."""
    names = {line.partition(":")[0] for line in (seen(host, "/etc/passwd") or "").splitlines()}
    if user in names or host.paths.root != "/":
        return user in names
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def is_member(host: Host, user: str) -> bool | None:
    """Whether `user` is in the group of libvirt (group(5)); None where there is no such group."""
    lines = (line.split(":") for line in (seen(host, "/etc/group") or "").splitlines())
    members = next((line[3].split(",") for line in lines if line[0] == GROUP and len(line) > 3), None)  # noqa: PLR2004
    return None if members is None else user in members


def _distribution(host: Host) -> Iterator[str]:
    text = seen(host, "/etc/os-release") or seen(host, "/usr/lib/os-release") or ""
    fields = dict(line.partition("=")[::2] for line in text.splitlines())
    for key in ("ID", "ID_LIKE"):
        yield from (word.partition("-")[0] for word in fields.get(key, "").strip("\"'").split())


def _find(host: Host, program: str) -> str | None:
    return host.programs.find(host.paths.at(program) if program.startswith("/") else program)


def _names(host: Host, directory: str) -> list[str]:
    try:
        return os.listdir(host.paths.at(directory))
    except OSError:
        return []
