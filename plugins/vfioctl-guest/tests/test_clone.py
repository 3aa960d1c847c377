"""What a clone is: the same machine under another name, UUID and MACs, on copies; and what does not come with it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from vfioctl_guest.clone import Copy, New, document, draft, new_nvram
from vfioctl_guest.life import Subject

from vfioctl.frozen import replace
from vfioctl.plugin import Guest

UUID, OTHER = "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11", "3f0c9a52-0000-4000-8000-000000000001"
XML = f"""<domain type='kvm'><name>web</name><uuid>{UUID}</uuid><genid>{UUID}</genid>
<metadata><vfioctl:started xmlns:vfioctl='urn:vfioctl:started'/><o:os xmlns:o='urn:other'/></metadata>
<os><nvram>/n/web_VARS.fd</nvram></os><sysinfo><system><entry name='uuid'>{UUID}</entry></system></sysinfo><devices>
<disk type='file' device='disk'><source file='/i/web.qcow2'/><target dev='vda'/></disk>
<disk type='file' device='disk'><source file='/i/shared.raw'/><target dev='vdb'/><readonly/></disk>
<disk type='file' device='cdrom'><source file='/i/web-seed.iso'/><target dev='sda'/></disk>
<interface type='network'><mac address='52:54:00:00:00:01'/></interface>
<interface type='hostdev'><mac address='52:54:00:00:00:02'/></interface>
<hostdev mode='subsystem' type='pci'/></devices></domain>"""
NEW = New("twin", OTHER, "/n/twin-3f0c9a52_VARS.fd", "/n/web_VARS.fd")
COPY = Copy(
    "vda", "/i/web.qcow2", UUID, "web.qcow2", UUID, "twin.qcow2", "/i/twin.qcow2", "qcow2", 1 << 20, marked=True
)
GUEST = Subject(Guest(UUID, "web", "off", persistent=True, saved=False, xml=XML), "local", "qemu:///system", local=True,
                managed=False)  # fmt: skip


def made(new: New = NEW) -> tuple[ET.Element, list[str]]:
    xml, left = document(XML, new, {"vda": "/i/twin.qcow2"})
    return ET.fromstring(xml), left


def test_it_is_called_otherwise_everywhere() -> None:
    root, _ = made()
    assert [root.findtext(tag) for tag in ("name", "uuid", "genid")] == ["twin", OTHER, OTHER]
    assert root.findtext("sysinfo/system/entry") == OTHER
    assert root.findtext("os/nvram") == NEW.nvram
    assert root.find("devices/interface/mac").get("address") != "52:54:00:00:00:01"  # type: ignore[union-attr]


def test_what_vfioctl_noted_of_the_original_is_not_of_it() -> None:
    root, _ = made()
    assert [one.tag for one in root.find("metadata")] == ["{urn:other}os"]  # type: ignore[union-attr]


def test_its_disks_are_the_copies_and_its_drives_are_empty() -> None:
    root, left = made()
    assert [one.get("file") for one in root.iterfind("devices/disk/source")] == ["/i/twin.qcow2", "/i/shared.raw"]
    assert "vdb: /i/shared.raw is not copied, both guests share it." in left
    assert "sda: the medium /i/web-seed.iso is not in its drive." in left


def test_a_disk_that_is_a_volume_of_a_pool_becomes_the_file_of_its_copy() -> None:
    volume = XML.replace("<source file='/i/web.qcow2'/>", "<source pool='i' volume='web.qcow2'/>")
    volume = volume.replace("file='/i/web-seed.iso'", "pool='i' volume='seed.iso'")
    xml, left = document(volume.replace("<disk type='file'", "<disk type='volume'", 1), NEW, {"vda": "/i/twin.qcow2"})
    disk = ET.fromstring(xml).find("devices/disk")
    assert disk is not None
    assert (disk.get("type"), [one.attrib for one in disk.iterfind("source")]) == ("file", [{"file": "/i/twin.qcow2"}])
    assert "sda: the medium i/seed.iso is not in its drive." in left


def test_devices_of_the_host_come_only_where_that_is_said() -> None:
    root, left = made()
    assert (root.find("devices/hostdev"), len(root.findall("devices/interface"))) == (None, 1)
    assert "Devices of the host (1) are not in it." in left
    root, left = made(replace(NEW, devices=True))
    assert (len(root.findall("devices/hostdev")), len(root.findall("devices/interface"))) == (1, 2)
    assert any("only one of both guests can run" in line for line in left)


def test_copies_come_before_the_guest_and_lock_the_original() -> None:
    steps = draft(GUEST, NEW, (COPY,)).steps
    assert [one.kind for one in steps] == ["volume.clone", "file.copy", "domain.define"]
    assert steps[0].params["domains"] == [UUID]
    assert steps[2].after == (steps[0].id, steps[1].id)


def test_a_linked_copy_is_one_of_the_file_and_locks_the_original() -> None:
    (copied, _) = draft(GUEST, replace(NEW, former_nvram=""), (replace(COPY, below="/t/debian.qcow2"),)).steps
    assert (copied.kind, copied.params) == (
        "file.copy", {"source": "/i/web.qcow2", "dest": "/i/twin.qcow2", "domain": UUID},
    )  # fmt: skip


@pytest.mark.parametrize("former", ["/n/web_VARS.fd", "/n/anything"])
def test_the_nvram_of_a_clone_has_a_name_that_nobody_has_left(former: str) -> None:
    assert new_nvram(former, "twin", OTHER) == "/n/twin-3f0c9a52_VARS.fd"
