"""A machine whose steps ask a private libvirtd, from outside of its namespace, and guests there with real disks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from disk_images import create
from step_builders import plain_machine

from vfioctl.txn import blobs
from vfioctl.txn.machine import Machine

DISK = """\
<disk type='file' device='disk'>
  <driver name='qemu' type='qcow2'/>
  <source file='{path}'/>
  <target dev='{target}' bus='virtio'/>
</disk>
"""
# Two daemons of two labs would give one port to two guests.
SCREEN = "<graphics type='vnc' passwd='hunter2'><listen type='socket'/></graphics>"


def uri_of(lab: Any) -> str:
    """The daemon of `lab`, from outside of its namespace."""
    return f"qemu:///system?socket=/proc/{lab.holder_pid}/root/run/libvirt/libvirt-sock"


def machine_of(root: Path) -> Machine:
    """A machine of plain files below `root`."""
    machine = plain_machine(str(root))
    os.makedirs(machine.paths.at("srv"), exist_ok=True)
    return machine


class Guest:
    """A guest of the lab that is off, with a real disk."""

    def __init__(self, lab: Any, machine: Machine, name: str, *, devices: str = "") -> None:
        self.machine, self.name, self.uri = machine, name, uri_of(lab)
        self.disk = create(machine.paths.at("srv", f"{name}.qcow2"))
        self.uuid = lab.define(name, devices=DISK.format(path=self.disk, target="vda") + devices)

    @property
    def connection(self) -> Any:
        """libvirt's own, for what somebody else does."""
        return self.machine.libvirt(self.uri).libvirt

    @property
    def handle(self) -> Any:
        return self.connection.lookupByUUIDString(self.uuid)

    @property
    def xml(self) -> str:
        import libvirt

        return str(self.handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))

    @property
    def about(self) -> dict[str, str]:
        """The parameters that name it."""
        return {"uri": self.uri, "uuid": self.uuid}

    def blob(self, text: str) -> str:
        return blobs.store(self.machine.paths, text.encode()).name

    def define(self, text: str) -> None:
        """As somebody else does."""
        self.connection.defineXML(text)

    def start(self, *, paused: bool = False) -> None:
        self.handle.createWithFlags(1 if paused else 0)  # VIR_DOMAIN_START_PAUSED

    def destroy(self) -> None:
        if self.handle.isActive():
            self.handle.destroy()

    def remove(self) -> None:
        """The guest with its snapshots, not its files, however it was left."""
        import libvirt

        try:
            handle = self.handle
        except libvirt.libvirtError:
            return
        self.destroy()
        for snapshot in handle.listAllSnapshots():
            snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        handle.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM)
