"""The names that pools and volumes may get, and where pools may be. Pure."""

from __future__ import annotations

import os
import re

from vfioctl.plugin import Refused

LONGEST = 60
VALID = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
SHOWN = 40  # characters of words that are refused
LONGEST_VOLUME = 120
VALID_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
VALID_GROUP = re.compile(r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]{0,126}")
VALID_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,252}")
NO_PLACES = ("/dev", "/proc", "/sys")  # what the kernel shows there is no storage
# The system's own, with everything below; then directories that are everybody's, of which only a part can be a pool's.
SYSTEM = (
    "/bin", "/boot", "/efi", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/root", "/run", "/sbin", "/usr",
    "/var/cache", "/var/lib/dpkg", "/var/lib/rpm", "/var/lib/vfioctl", "/var/lib/libvirt/qemu",
    "/var/lib/libvirt/swtpm", "/var/lock", "/var/log", "/var/run", "/var/spool",
)  # fmt: skip
SHARED = ("/", "/home", "/opt", "/tmp", "/var", "/var/lib", "/var/lib/libvirt", "/var/tmp")
MEDIA = "/run/media"  # where a desktop mounts a disk
ELSEWHERE = "Take a directory for images alone, as /var/lib/libvirt/images or /srv/images."
NOTHING_CHANGED = "Nothing was changed."


def check_name(name: str) -> None:
    """Raise Refused("pool.bad_name"). A number would be taken for an id by virsh, a dash for an option by a shell."""
    if VALID.fullmatch(name) and len(name) <= LONGEST:
        return
    rule = f"it must begin with a letter and have up to {LONGEST} letters, digits, '.', '_' and '-'"
    raise Refused("pool.bad_name", f"{name!r} cannot name a pool: {rule}.", state=NOTHING_CHANGED)


def check_template(name: str) -> None:
    """Raise Refused("template.bad_name"). The names of its files begin with it."""
    if VALID.fullmatch(name) and len(name) <= LONGEST:
        return
    rule = f"it must begin with a letter and have up to {LONGEST} letters, digits, '.', '_' and '-'"
    raise Refused("template.bad_name", f"{name!r} cannot name a template: {rule}.", state=NOTHING_CHANGED)


def check_words(option: str, words: str, longest: int) -> None:
    """Raise Refused("template.words") for what is too long to be written down or shown, or would break a line."""
    why = f"it has {len(words)} characters, and may have {longest}" if len(words) > longest else ""
    if not words.isprintable():
        why = "it has a character that is not printed, as the end of a line"
    if why:
        said = f"{option} {words[:SHOWN]!r}{' …' if len(words) > SHOWN else ''} cannot be kept: {why}."
        raise Refused("template.words", said, state=NOTHING_CHANGED, hints=("Say it shorter, in one line.",))


def check_volume(name: str) -> None:
    """Raise Refused("volume.bad_name"). It is a file's name too, and part of command lines."""
    if VALID_VOLUME.fullmatch(name) and len(name) <= LONGEST_VOLUME:
        return
    rule = f"it must begin with a letter or digit and have up to {LONGEST_VOLUME} letters, digits and any of ._+-"
    raise Refused("volume.bad_name", f"{name!r} cannot name a volume: {rule}.", state=NOTHING_CHANGED)


def check_path(path: str) -> None:
    """Raise Refused("pool.bad_path") for what can be no directory of a pool on any node."""
    if not path.startswith("/") or os.path.normpath(path) != path.rstrip("/") or "\0" in path:
        raise bad_path(path, "it must be an absolute path without '.', '..' or an empty part")
    if _is_in(path, NO_PLACES):
        raise bad_path(path, "there is no storage")
    if _is_in(path, SYSTEM) and not path.startswith(f"{MEDIA}/"):
        raise bad_path(path, "that is the system's, and each of its files would be a volume", ELSEWHERE)
    if (path.rstrip("/") or "/") in SHARED:
        raise bad_path(path, "that is no directory of its own, and each file in it would be a volume", ELSEWHERE)


def _is_in(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def check_group(name: str) -> None:
    """Raise Refused("pool.bad_source") for what can name no volume group (lvm(8))."""
    if not VALID_GROUP.fullmatch(name) or name in (".", ".."):
        raise bad_source(f"{name!r} cannot name a volume group", "See: vgs")


def check_device(path: str) -> None:
    """Raise Refused("pool.bad_source") for what is no node of a device."""
    if not path.startswith("/dev/") or os.path.normpath(path) != path or "\0" in path:
        raise bad_source(f"{path!r} is no device: its path begins with /dev/", "See: lsblk --paths")


def check_export(host: str, directory: str) -> None:
    """Raise Refused("pool.bad_source") for what can be no directory of an NFS server."""
    if not VALID_HOST.fullmatch(host):
        raise bad_source(f"{host!r} is no name or address of a host", "Give --source-host HOST.")
    if not directory.startswith("/") or os.path.normpath(directory) != directory or not directory.isprintable():
        said = f"{directory!r} is no directory of a server: it is an absolute path without '.', '..' or an empty part"
        raise bad_source(said, f"See: showmount --exports {host}")


def bad_source(why: str, *hints: str) -> Refused:
    """The refusal of what a pool was to be of."""
    return Refused("pool.bad_source", f"No pool is made: {why}.", state=NOTHING_CHANGED, hints=hints)


def bad_path(path: str, why: str, *hints: str) -> Refused:
    """The refusal of `path` for a pool."""
    return Refused("pool.bad_path", f"No pool is made at {path!r}: {why}.", state=NOTHING_CHANGED, hints=hints)
