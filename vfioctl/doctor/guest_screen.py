"""Where the picture of a guest with a card appears: its firmware, a display beside the card, Looking Glass, ports.

Reads only. Sources: libvirt.org/formatdomain.html, libvirt.org/pci-hotplug.html, looking-glass.io/docs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from vfioctl.doctor.definitions import Definition, Definitions
from vfioctl.doctor.readings import lines
from vfioctl.events.element import Element
from vfioctl.events.qemu_arguments import arguments
from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.shell import argument

LOOKING_GLASS = "looking-glass"
KVMFR = re.compile(r"/dev/kvmfr\d+")
NODES = re.compile(r"/dev/(?:kvmfr\d+|input/[\w./:-]+)")
ACL, QEMU_CONF = "cgroup_device_acl", "etc/libvirt/qemu.conf"
FOR_OTHERS = (0o060, 0o006)  # read and write, for a group or for everybody
ROOT_PORT = "pcie-root-port"


def look(guest: Definition, _every: Definitions, host: Host) -> Iterator[Finding]:
    """What keeps the picture off the card, or Looking Glass from it; and that nothing more can be plugged in."""
    if guest.has_card:
        yield from _firmware(guest)
        yield from _virtual(guest)
    yield from _looking_glass(guest, host)
    yield from _not_allowed(guest, host)
    yield from _ports(guest)


def _edit(guest: Definition) -> str:
    return f"virsh edit {argument(guest.name)}"


def _firmware(guest: Definition) -> Iterator[Finding]:
    os_ = guest.root.find("os")
    if os_ and os_.get("firmware") != "efi" and guest.domain.loader is None and os_.find("kernel") is None:
        yield Finding(
            "domain.no_uefi", f"{guest.name} has a card and boots with a BIOS: many cards show nothing then.",
            Severity.INFO, f"Install such a guest with UEFI (<os firmware='efi'>): {_edit(guest)}",
            evidence=f"{guest.path}: <os> has no firmware='efi' and no <loader>",
        )  # fmt: skip


def _virtual(guest: Definition) -> Iterator[Finding]:
    models = (model.get("type") or "" for video in guest.all("video") for model in video.all("model"))
    left = [model for model in models if model != "none"]
    if left and not _shares_picture(guest):
        yield Finding(
            "domain.virtual_display",
            f"{guest.name} has a virtual display ({left[0]}) beside its card: its first picture appears there.",
            Severity.INFO, f"Once its driver for the card is installed, make it <model type='none'/>: {_edit(guest)}",
            evidence=f"{guest.path}: <video>",
        )  # fmt: skip


def _shares_picture(guest: Definition) -> bool:
    """Whether Looking Glass brings the picture of the card to the host's screen."""
    named = any(LOOKING_GLASS in (shmem.get("name") or "") for shmem in guest.all("shmem"))
    return named or any(KVMFR.search(word) for word in arguments(guest.root))


def _looking_glass(guest: Definition, host: Host) -> Iterator[Finding]:
    for node in dict.fromkeys(found for word in arguments(guest.root) for found in KVMFR.findall(word)):
        if not os.path.exists(host.paths.at(node)):
            yield Finding(
                "domain.kvmfr_missing", f"{guest.name} shares its picture by {node}, which is not there.",
                Severity.WARN, "Load it with: modprobe kvmfr static_size_mb=64; at each boot by modules-load.d.",
                evidence=f"{guest.path}; {node} is not there",
            )  # fmt: skip
    for shmem in guest.all("shmem"):
        if LOOKING_GLASS in (name := shmem.get("name") or "") and "/" not in name:
            yield from _leftover(guest, host, f"/dev/shm/{name}")


def _leftover(guest: Definition, host: Host, path: str) -> Iterator[Finding]:
    """A client that was there first made the file: QEMU's user may not open it (fs.protected_regular)."""
    try:
        status = os.lstat(host.paths.at(path))
    except OSError:
        return  # QEMU makes it
    mode = status.st_mode & 0o777
    if not any(mode & both == both for both in FOR_OTHERS):
        yield Finding(
            "domain.looking_glass", f"{path} of {guest.name} has the mode {mode:04o}: QEMU's user or "
            "the client may not open it.",
            Severity.WARN, f"rm {path}; make it by tmpfiles.d: f {path} 0660 USER kvm -",
            evidence=f"{path}: mode {mode:04o}, uid {status.st_uid}, gid {status.st_gid}",
        )  # fmt: skip


def _not_allowed(guest: Definition, host: Host) -> Iterator[Finding]:
    """Nodes in QEMU's own arguments: libvirt lets a guest open only those that it knows, or that qemu.conf lists."""
    named = tuple(dict.fromkeys(found for word in arguments(guest.root) for found in NODES.findall(word)))
    allowed = " ".join(line.text for line in lines(host.paths, QEMU_CONF)) if named else ""
    listed = allowed.partition(ACL)[2].partition("]")[0]
    for node in (node for node in named if f'"{node}"' not in listed):
        yield Finding(
            "domain.node_not_allowed", f"{guest.name} names {node} in QEMU's arguments, which libvirt does not let it "
            "open.",
            Severity.WARN, f"Add it to {ACL} in /{QEMU_CONF}, then restart the daemon; an input device better as "
            "<input type='evdev'>.",
            evidence=f"/{QEMU_CONF}: {ACL} has no {node}",
        )  # fmt: skip


def _ports(guest: Definition) -> Iterator[Finding]:
    """A machine of the type q35 takes a device while it runs only on a root port that is free."""
    ports = {_number(port.get("index")) for port in guest.all("controller") if port.get("model") == ROOT_PORT}
    devices = guest.root.find("devices")
    addresses = (address for device in (devices.children if devices else ()) for address in device.all("address"))
    used = {_number(address.get("bus")) for address in addresses if address.get("type") == "pci"}
    if _is_q35(guest.root) and ports and not ports - used:
        yield Finding(
            "domain.no_root_port", f"All {len(ports)} root ports of {guest.name} are taken: nothing can be plugged in "
            "while it runs.",
            Severity.INFO, f"Add <controller type='pci' model='{ROOT_PORT}'/> once or more: {_edit(guest)}",
            evidence=f"{guest.path}: <controller>, <address>",
        )  # fmt: skip


def _is_q35(root: Element) -> bool:
    kind = root.find("os", "type")
    return kind is not None and "q35" in (kind.get("machine") or "")


def _number(text: str | None) -> int:
    """A number as libvirt writes it, "0x01" or "1"; -1 where there is none."""
    try:
        return int(text or "-1", 0)
    except ValueError:
        return -1
