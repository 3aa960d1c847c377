"""A guest as the plans of the verbs see it: facts written by hand, and what a plan does in a few words."""

from __future__ import annotations

from typing import Any

from vfioctl_snapshot.create import Wish
from vfioctl_snapshot.facts import Facts, File
from vfioctl_snapshot.headers import Image
from vfioctl_snapshot.record import Part, Record, Records, place
from vfioctl_snapshot.steps import Draft

from vfioctl.plugin import GuestDisk, GuestSnapshot

UUID = "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11"
NOW = 1795256130.0  # 2026-11-21T10:15:30Z
NVRAM = "/nvram/win11_VARS.fd"
TPM = f"/var/lib/libvirt/swtpm/{UUID}/tpm2/tpm2-00.permall"
OPERATION = "0f0e0d0c"
DISK = """<disk type='file' device='{device}'><driver name='qemu' type='{form}'/><source file='{source}'/>
<backingStore type='file'><source file='/old'/></backingStore><target dev='{target}'/></disk>"""


def image(path: str, backing: str = "", **more: Any) -> Image:
    known = {"format": "qcow2", "size": 1 << 30, "used": 1 << 20, "device": 1, "inode": sum(map(ord, path)), **more}
    return Image(**{"path": path, "backing": backing, "backing_format": "qcow2" if backing else "", **known})


def disk(target: str = "vda", source: str = "", **more: Any) -> GuestDisk:
    return GuestDisk(**{"target": target, "source": source or f"/images/{target}.qcow2", "format": "qcow2", **more})


def xml(*disks: GuestDisk, nvram: str = "") -> str:
    firmware = f"<os><nvram>{nvram}</nvram></os>" if nvram else "<os/>"
    devices = "".join(
        DISK.format(device=one.device, form=one.format, source=one.source, target=one.target) for one in disks
    )
    return f"<domain type='kvm'><name>win11</name><uuid>{UUID}</uuid>{firmware}<devices>{devices}</devices></domain>"


def record(name: str, *parts: Part, **more: Any) -> Record:
    return Record(**{"name": name, "uuid": UUID, "guest": "win11", "created": NOW, "disks": parts, **more})


def facts(*disks: GuestDisk, images: tuple[Image, ...] = (), records: tuple[Record, ...] = (), **more: Any) -> Facts:
    """A guest that is off; each disk has an image, and everything that is named is there."""
    disks = disks or (disk(),)
    own = {one.source: image(one.source, format=one.format) for one in disks if one.kind == "file"}
    named = (
        more.get("nvram", ""), more.get("tpm", ""), *(one.nvram for one in records), *(one.tpm for one in records),
        *(place(UUID, one.name) for one in records),
    )  # fmt: skip
    known = {
        "uuid": UUID, "name": "win11", "uri": "test:///x", "state": "off",
        "xml": xml(*disks, nvram=more.get("nvram", "")), "disks": disks, "free": {"/images": 1 << 40},
        "files": {path: File(path, 1, index) for index, path in enumerate(filter(None, named))},
        "images": {**own, **{one.path: one for one in images}}, "records": Records(records), **more,
    }  # fmt: skip
    return Facts(**known)


def wish(name: str = "clean", **more: Any) -> Wish:
    return Wish(name, OPERATION, NOW, **more)


def codes(draft: Draft) -> list[tuple[str, str]]:
    return [(found.code, str(found.severity)) for found in draft.findings]


def known(name: str, xml: str = "<domainsnapshot/>", **more) -> GuestSnapshot:
    """What libvirt keeps of a snapshot of the guest."""
    return GuestSnapshot(
        UUID, name, 0, "disk-snapshot", internal=False, external=True, current=False, xml=xml, **more
    )


def told(draft: Draft) -> list[str]:
    """Each step as its kind and what it is about, in order."""
    return [f"{step.kind} {_about(step.params)}".rstrip() for step in draft.steps.made]


def _about(params: Any) -> str:
    if "dest" in params:
        return f"{params['source']} -> {params['dest']}"
    if "images" in params:
        return f"{params['name']}: " + ", ".join(f"{path} -> {to}" for path, to in params["images"].items())
    if "to" in params:
        return f"{params['path']}: {params['backing']} -> {params['to'] or 'nothing'}"
    if "backing" in params:
        return f"{params['path']} over {params['backing']}"
    return str(params.get("path") or params.get("name") or "")
