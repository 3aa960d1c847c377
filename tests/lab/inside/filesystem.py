"""Every file of a machine's own disks, so that two moments can be compared. Reads only."""

from __future__ import annotations

import hashlib
import os
import stat

# What a Debian, and libvirt at the start of a guest, write down by themselves.
CHANGES_BY_ITSELF = {
    "/var/log": "logs, journals",
    "/var/cache": "of apt, debconf, libvirt",
    "/var/lib/apt": "apt's own",
    "/var/lib/dpkg": "dpkg's own",
    "/var/backups": "dpkg's own",
    "/var/lib/systemd": "timers, the random seed",
    "/var/tmp": "private directories of services",
    "/tmp": "the same",
    "/var/lib/containers": "podman's, at each boot",
    "/var/lib/lightdm": "the greeter's key for its X server",
    "/var/lib/alsa": "the levels of sound cards, at each shutdown",
    "/efi/loader/random-seed": "systemd-boot's, at each boot",
    "/etc/apparmor.d/libvirt": "libvirt's profile of each guest that has started",
}
DISKS = ("/", "/efi")
OF_PACKAGES, OWN = "/usr/", "/usr/local/"

Listing = dict[str, str]


def listing(root: str = "") -> Listing:
    """Each path with type, mode, owner, and its content or where it leads."""
    found = {}
    for base, directories, names in os.walk(root or "/"):
        directories[:] = [name for name in directories if _belongs(os.path.join(base, name), root)]
        for path in (os.path.join(base, name) for name in (*directories, *names)):
            if path.removeprefix(root) not in CHANGES_BY_ITSELF:
                found[path.removeprefix(root)] = _of(path, root)
    return found


def differences(before: Listing, after: Listing) -> list[str]:
    """Each path that is not as it was, in words."""
    return [
        f"{path}: {before.get(path, 'not there')} became {after.get(path, 'not there')}"
        for path in sorted({*before, *after}) if before.get(path) != after.get(path)
    ]  # fmt: skip


def _belongs(path: str, root: str) -> bool:
    if path.removeprefix(root) in CHANGES_BY_ITSELF or os.path.basename(path) == "__pycache__":
        return False
    return not os.path.ismount(path) or path in DISKS


def _of(path: str, root: str) -> str:
    seen = os.lstat(path)
    said = f"{seen.st_mode:o} {seen.st_uid}:{seen.st_gid}"
    if stat.S_ISLNK(seen.st_mode):
        return f"{said} {os.readlink(path)}"
    return f"{said} {_content(path, seen, root)}" if stat.S_ISREG(seen.st_mode) else said


def _content(path: str, seen: os.stat_result, root: str) -> str:
    """Of what packages bring, size and time: to hash a gigabyte takes minutes on an emulated machine."""
    place = path.removeprefix(root)
    if place.startswith(OF_PACKAGES) and not place.startswith(OWN):
        return f"{seen.st_size} {seen.st_mtime_ns}"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
