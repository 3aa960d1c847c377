"""Whether the QEMU of a guest may read a file of this host: by owner, mode, and AppArmor's rules. Reads only."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator

from vfioctl import files
from vfioctl.host.pid_files import qemu_users
from vfioctl.paths import Paths

PROFILES = "sys/kernel/security/apparmor/profiles"
CONFINING = ("libvirtd (", "virtqemud (")  # with one of these libvirt confines each QEMU
# What every QEMU may read. virt-aa-helper adds a guest's disks, and not the ROM file of a hostdev (seen: libvirt 9.0).
RULES = ("etc/apparmor.d/abstractions/libvirt-qemu", "etc/apparmor.d/local/abstractions/libvirt-qemu")
RULE = re.compile(r'^\s*"?(/[^\s"]+)"?\s+([a-z]*r[a-z]*),', re.MULTILINE)


def against_reading(paths: Paths, path: str) -> str:
    """Why QEMU cannot read `path`, as it is on the host; "" where nothing is known against it.

    Users are those as which libvirt may run QEMU; access lists are not looked at. Raises OSError.
    """
    users = qemu_users(paths)
    for place, bit in (*((above, stat.S_IXOTH) for above in _above(path)), (path, stat.S_IROTH)):
        found = os.stat(paths.at(place))
        if not found.st_mode & bit and not (found.st_uid in users and found.st_mode & (bit << 6)):
            return f"{place} is closed to the user as which QEMU runs (mode {stat.S_IMODE(found.st_mode):04o})"
    if _is_confined(paths) and not any(rule.fullmatch(path) for rule in _rules(paths)):
        return "AppArmor lets no guest read it, since libvirt asks for the ROM files of no hostdev"
    return ""


def _above(path: str) -> Iterator[str]:
    """The directories on the way to `path`, from the top."""
    parts = path.strip("/").split("/")[:-1]
    yield from ("/" + "/".join(parts[: count + 1]) for count in range(len(parts)))


def _is_confined(paths: Paths) -> bool:
    loaded = _text(paths.at(PROFILES))
    return any(name in loaded for name in CONFINING)


def _rules(paths: Paths) -> Iterator[re.Pattern[str]]:
    for name in RULES:
        for glob, _ in RULE.findall(_text(paths.at(name))):
            yield re.compile(re.escape(glob).replace(r"\*\*", ".*").replace(r"\*", "[^/]*"))


def _text(path: str) -> str:
    try:
        return files.read_text(path, follow=True) or ""
    except OSError:
        return ""
