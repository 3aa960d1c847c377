"""Whether libvirt keeps external snapshots of a disk, told from libvirt's own files: the hook must not ask libvirt."""

from __future__ import annotations

import os

from vfioctl.plugin import Disk, Request, VfioctlError, parse_element, read_bytes

METADATA = "var/lib/libvirt/qemu/snapshot"  # one XML file a snapshot, in a directory a guest
CAP = 4 * 1024 * 1024


def owned_by_libvirt(disk: Disk, request: Request) -> str:
    """Why the chain of `disk` is libvirt's to change, in words; empty when it is not.

    An internal snapshot under an overlay of libvirt's is lost or corrupts the chain when libvirt merges it.
    """
    if disk.external_snapshot:
        return "the domain asks libvirt for external snapshots of it"
    if disk.has_backing_store:
        return "libvirt keeps its backing chain in the domain"
    directory = request.host.paths.at(METADATA, request.guest)
    return request.host.ask(os.path.join(directory, ""), lambda: _in_list(disk, directory))


def _in_list(disk: Disk, directory: str) -> str:
    """What libvirt's list of snapshots of the guest says of the disk."""
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".xml"))
        return next((why for name in names if (why := _in_file(disk, directory, name))), "")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, VfioctlError) as error:
        return f"libvirt's list of snapshots cannot be read ({error})"


def _in_file(disk: Disk, directory: str, name: str) -> str:
    root = parse_element(read_bytes(os.path.join(directory, name), limit=CAP))
    disks = root.find("disks")
    for entry in disks.all("disk") if disks else ():
        if entry.get("snapshot") == "external" and entry.get("name") in (disk.target, disk.source):
            return f"libvirt keeps the external snapshot {name.removesuffix('.xml')!r} of it"
    return ""
