"""The plan of a guest that goes back to its template: it never lacks a disk."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from vfioctl_guest.life import Subject
from vfioctl_guest.reset import System, draft, moved
from vfioctl_guest.seed.mark import Marked, marked, write
from vfioctl_guest.site import Blank, Image

from vfioctl.plugin import Guest
from vfioctl.virt.disks import GuestDisk
from vfioctl.virt.pools import Pool
from vfioctl.virt.template_data import TemplateData
from vfioctl.virt.templates import Template
from vfioctl.virt.volumes import Volume

UUID = "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11"
XML = """<domain><devices><disk><source file='/i/web.qcow2'/><target dev='vda'/></disk>
<disk><source file='/i/data.qcow2'/><target dev='vdb'/></disk></devices></domain>"""


def system() -> System:
    data = TemplateData("debian", UUID, "2026-11-28T00:00:00Z", "debian.qcow2", "qcow2", 1 << 30, "0" * 64, "a file")
    below = Volume("t", "debian.qcow2", "/t/debian.qcow2", "file", "qcow2", 1 << 30, 1 << 20)
    pool = Pool(UUID, "t", "dir", "running", persistent=True, autostart=False, path="/t", source="", capacity=0,
                allocation=0, available=0, volumes=1, xml="")  # fmt: skip
    volume = Volume("default", "web.qcow2", "/i/web.qcow2", "file", "qcow2", 1 << 30, 0, "/t/debian.qcow2", "qcow2")
    new = Blank(UUID, "web-2.qcow2", 1 << 30, marked=True)
    disk = GuestDisk("vda", "/i/web.qcow2", "qcow2")
    return System(disk, volume, Template(pool, "debian", data, below, below), "/i/web-2.qcow2", new)


def test_only_the_system_disk_moves() -> None:
    root = ET.fromstring(moved(XML, "/i/web.qcow2", "/i/web-2.qcow2"))
    assert [one.get("file") for one in root.iterfind("devices/disk/source")] == ["/i/web-2.qcow2", "/i/data.qcow2"]


def about(xml: str) -> Subject:
    guest = Guest(UUID, "web", "off", persistent=True, saved=False, xml=xml)
    return Subject(guest, "local", "qemu:///system", local=True, managed=False)


def test_a_new_seed_is_a_disk_of_its_own_that_the_new_system_has_not_read() -> None:
    seed = Image("/i/web-seed.iso", "raw", blank=Blank(UUID, "web-seed.iso", 4, marked=True, content=b"seed"))
    made = draft(about(XML), system(), seed)
    kinds = ["volume.create", "volume.create", "volume.upload", "domain.define", "volume.delete"]
    assert [one.kind for one in made.steps] == kinds
    assert made.steps[3].after == ("guest:volume", *(one.id for one in made.steps[1:3]))
    xml = made.contents[made.steps[3].params["blob"]].decode()
    assert marked(xml) == Marked("/i/web-seed.iso", "vdc", run=False)
    assert b"seed" in made.contents.values()


def test_a_seed_that_is_still_there_is_one_that_the_new_system_has_not_read() -> None:
    root = ET.fromstring(XML)
    write(root, "/i/data.qcow2", run=True)
    made = draft(about(ET.tostring(root, encoding="unicode")), system())
    found = marked(made.contents[made.steps[1].params["blob"]].decode())
    assert found == Marked("/i/data.qcow2", "vdb", run=False)


def test_what_other_tools_have_written_down_keeps_its_prefix() -> None:
    theirs = "<metadata><libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/x'/></metadata>"
    assert "libosinfo:libosinfo" in moved(XML.replace("<devices>", f"{theirs}<devices>"), "/i/web.qcow2", "/i/new")


def test_the_former_disk_goes_last_and_is_judged_then() -> None:
    made = draft(about(XML), system())
    assert [one.kind for one in made.steps] == ["volume.create", "domain.define", "volume.delete"]
    assert [one.after for one in made.steps] == [(), ("guest:volume",), ("guest:define",)]
    assert (made.steps[2].params["later"], "domain" in made.steps[2].params) == (True, False)
    assert (made.steps[0].params["backing"], made.steps[0].params["size"]) == ("/t/debian.qcow2", 1 << 30)
    assert set(made.contents) == {made.steps[1].params["blob"], made.steps[1].params["former"]}
