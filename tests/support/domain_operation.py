"""An operation on a guest of a private libvirtd that is off: another disk, a snapshot's record, a start at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from disk_images import content, create, fill
from libvirt_machine import DISK, SCREEN, uri_of
from operation_host import OperationHost

from vfioctl.kinds.libvirt.documents import canonical, drives
from vfioctl.txn import blobs
from vfioctl.virt.connection import connect
from vfioctl.virt.nodes import of_uri

STEPS = ("copy", "overlay", "define", "record", "start")
BOUNDARIES = tuple(range(1, 2 * len(STEPS) + 1))
LIVE_STEPS = ("copy", "overlay", "live", "forget")
LIVE_BOUNDARIES = tuple(range(1, 2 * len(LIVE_STEPS) + 1))
HOTPLUG_STEPS = ("attach", "insert", "detach", "pause")
HOTPLUG_BOUNDARIES = tuple(range(1, 2 * len(HOTPLUG_STEPS) + 1))
RENAME_BOUNDARIES = (1, 2, 3, 4)
SCSI = "<controller type='scsi' model='virtio-scsi'/>"
SCSI_DISK = DISK.replace("bus='virtio'", "bus='scsi'")
DRIVE = "<disk type='file' device='cdrom'>{source}<target dev='hdc' bus='ide'/><readonly/></disk>"
SNAPSHOT = """\
<domainsnapshot><name>before</name><state>shutoff</state><creationTime>1700000000</creationTime>
<memory snapshot='no'/><disks><disk name='vda' snapshot='external' type='file'><driver type='qcow2'/>
<source file='{overlay}'/></disk></disks>{domain}</domainsnapshot>
"""


class DomainHost(OperationHost):
    """A directory, and a guest of `lab` whose disk lies in it."""

    name = "domain set"
    ours = ("srv/overlay.qcow2", "srv/vars.fd.copy")

    def __init__(self, root: Path, lab: Any, name: str) -> None:
        self.lab, self.guest, self.disk = lab, name, root / "srv/disk.qcow2"
        self.opened = connect(of_uri(uri_of(lab)))
        super().__init__(root)

    def furnish(self) -> None:
        os.symlink(shutil.which("qemu-img") or "", self.root / "usr/bin/qemu-img")
        fill(create(self.disk), 5, 0)
        self.seen = content(self.disk)
        (self.root / "srv/vars.fd").write_bytes(bytes(64 << 10))
        disk = DISK.format(path=self.disk, target="vda")
        self.uuid = self.lab.define(self.guest, devices=disk + SCREEN)
        self.former = self.xml

    @property
    def handle(self) -> Any:
        return self.opened.libvirt.lookupByUUIDString(self.uuid)

    @property
    def xml(self) -> str:
        import libvirt

        return str(self.handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))

    def is_as_before(self) -> bool:
        """Whether libvirt keeps of it what it did, knows no snapshot, and it is off."""
        handle = self.handle
        return canonical(self.xml) == canonical(self.former) and not handle.snapshotNum() and not handle.isActive()

    def blob(self, text: str) -> str:
        return blobs.store(self.node.paths, text.encode()).name

    @property
    def about(self) -> dict[str, str]:
        return {"uri": uri_of(self.lab), "uuid": self.uuid}

    @property
    def overlay(self) -> str:
        return str(self.root / "srv/overlay.qcow2")

    def files_wishes(self, **more: Any) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        """The steps without libvirt; `more` is for the overlay."""
        return (
            ("copy", "file.copy", {"source": "/srv/vars.fd", "dest": "/srv/vars.fd.copy"}),
            ("overlay", "disk.overlay", {
                "path": "/srv/overlay.qcow2", "backing": "/srv/disk.qcow2", "backing_format": "qcow2", "mode": "0600",
                "owner": os.getuid(), "group": os.getgid(), "uri": uri_of(self.lab), "domain": self.uuid, **more,
            }),
        )  # fmt: skip

    def wishes(self) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        about, overlay = self.about, self.overlay
        after = self.former.replace(str(self.disk), overlay)
        return (
            *self.files_wishes(),
            ("define", "domain.define", {**about, "blob": self.blob(after), "former": self.blob(self.former)}),
            ("record", "snapshot.record", {
                **about, "name": "before", "blob": self.blob(SNAPSHOT.format(overlay=overlay, domain=self.former)),
            }),
            ("start", "domain.start", about),
        )  # fmt: skip

    @property
    def disks(self) -> dict[str, str]:
        """The files that the guest is on: as it runs, or as it is configured."""
        handle = self.handle
        return drives(handle.XMLDesc(0) if handle.isActive() else self.xml)

    def remove(self) -> None:
        """The guest, however it was left."""
        import libvirt

        handle = self.handle
        if handle.isActive():
            handle.destroy()
        for snapshot in handle.listAllSnapshots():
            snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        handle.undefine()


class LiveHost(DomainHost):
    """The same with a guest that runs, of which libvirt knows a snapshot `old`."""

    def furnish(self) -> None:
        import libvirt

        super().furnish()
        asked = SNAPSHOT.format(overlay=self.disk, domain=self.former).replace("before", "old")
        old = self.handle.snapshotCreateXML(asked, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE)
        self.old = old.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)
        self.handle.create()

    def is_as_before(self) -> bool:
        handle = self.handle
        same = canonical(self.xml) == canonical(self.former) and self.disks == {"vda": str(self.disk)}
        return same and handle.snapshotListNames() == ["old"] and bool(handle.isActive())

    def wishes(self) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        about = self.about
        asked = f"""<domainsnapshot><name>now</name><disks><disk name='vda' snapshot='external' type='file'>
          <driver type='qcow2'/><source file='{self.overlay}'/></disk></disks></domainsnapshot>"""
        return (
            *self.files_wishes(live=True),
            ("live", "disk.live", {**about, "name": "now", "blob": self.blob(asked), "reuse": True}),
            ("forget", "snapshot.forget", {**about, "name": "old", "blob": self.blob(self.old)}),
        )  # fmt: skip


class HotplugHost(DomainHost):
    """A guest that runs, with a SCSI disk and an empty drive: it gets a disk and a medium, loses one, and pauses."""

    name = "guest attach"
    ours = ()

    def furnish(self) -> None:
        import libvirt

        super().furnish()
        for name in ("more", "second"):
            create(self.root / f"srv/{name}.qcow2")
        (self.root / "srv/one.iso").write_bytes(bytes(1 << 16))
        self.second = SCSI_DISK.format(path=self.root / "srv/second.qcow2", target="sdb")
        for device in (SCSI, self.second, DRIVE.format(source="")):
            self.handle.attachDeviceFlags(device, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        self.former = self.xml
        self.handle.create()
        self.disks_before = self.disks

    def wishes(self) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        about = {**self.about, "where": ["live", "config"]}
        more = SCSI_DISK.format(path=self.root / "srv/more.qcow2", target="sda")
        medium = DRIVE.format(source=f"<source file='{self.root}/srv/one.iso'/>")
        return (
            ("attach", "device.attach", {**about, "blob": self.blob(more)}),
            ("insert", "device.media", {
                **about, "blob": self.blob(medium), "former": self.blob(DRIVE.format(source="")),
            }),
            ("detach", "device.detach", {**about, "blob": self.blob(self.second)}),
            ("pause", "domain.suspend", self.about),
        )  # fmt: skip

    @property
    def configured(self) -> dict[str, str]:
        """The files of its configuration's disks."""
        return drives(self.xml)

    @property
    def is_paused(self) -> bool:
        return bool(self.handle.state()[0] == 3)  # VIR_DOMAIN_PAUSED


class RenameHost(DomainHost):
    """A guest that is off, which gets another configuration, then another name."""

    name = "guest rename"
    ours = ()

    def wishes(self) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        after = self.former.replace("<on_crash>destroy<", "<on_crash>restart<")
        return (
            ("define", "domain.define", {**self.about, "blob": self.blob(after), "former": self.blob(self.former)}),
            ("rename", "domain.rename", {**self.about, "name": f"{self.guest}-new", "former": self.guest}),
        )


def restart(on: DomainHost) -> None:
    """The host begins anew: no guest runs."""
    if on.handle.isActive():
        on.handle.destroy()
    on.boot("second")
