"""Disks that are given as volumes of a pool, on a real libvirtd: who writes to the volume is known as of a file."""

from __future__ import annotations

import uuid as uuids
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from snapshot_lab import DOMAIN
from template_lab import PLACE, Templates

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")
pytest.importorskip("vfioctl_guest")

POOL = f"{PLACE}/fast"
DISK = """<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='fast' volume='{volume}'/>
<target dev='vda' bus='virtio'/></disk>"""


@pytest.fixture
def on(templates: Templates) -> Templates:
    templates.host.must("qemu-img", "create", "-q", "-f", "qcow2", f"{POOL}/deb.qcow2", "8M")
    templates.host.must("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 1M", f"{POOL}/deb.qcow2")
    templates.cli("pool", "refresh", "fast")
    return templates


def guest(on: Templates, name: str = "web", volume: str = "deb.qcow2", *, start: bool = False) -> None:
    document = on.host.place / f"{name}.xml"
    document.write_text(DOMAIN.format(name=name, uuid=uuids.uuid4(), firmware="", devices=DISK.format(volume=volume)))
    on.host.lab.virsh("define", str(document))
    if start:
        on.host.lab.virsh("start", name)


def sources(on: Templates, name: str) -> list[dict[str, Any]]:
    xml = ET.fromstring(on.host.lab.virsh("dumpxml", "--inactive", name).stdout)
    return [{**one.attrib} for one in xml.iterfind("devices/disk/source")]


def test_nothing_comes_to_lie_above_the_volume_of_a_guest(on: Templates) -> None:
    guest(on)
    assert "web" in on.refused("volume.used", "volume", "clone", "fast", "deb.qcow2", "child.qcow2", "--linked")


@pytest.mark.parametrize("argv", [
    ("volume", "clone", "fast", "deb.qcow2", "new.qcow2"), ("volume", "clone", "fast", "deb.qcow2", "new", "--linked"),
    ("volume", "download", "fast", "deb.qcow2", "/var/deb.qcow2"),
    ("template", "add", "new", "--pool", "fast", "--volume", "fast/deb.qcow2"),
], ids=["clone", "linked", "download", "template"])  # fmt: skip
def test_a_volume_that_a_running_guest_writes_to_is_not_copied(on: Templates, argv: tuple[str, ...]) -> None:
    guest(on, start=True)
    assert "written to by running guests: web" in on.refused("volume.busy", *argv)


def test_a_volume_that_the_running_guest_gets_at_its_next_start_is_one_of_its_disks(on: Templates) -> None:
    on.host.must("cp", f"{POOL}/deb.qcow2", f"{POOL}/more.qcow2")
    on.cli("pool", "refresh", "fast")
    guest(on, start=True)
    on.cli("guest", "attach", "web", "--volume", "fast/more.qcow2", "--next-start")
    assert "web" in on.refused("volume.used", "volume", "clone", "fast", "more.qcow2", "child.qcow2", "--linked")


def test_the_guest_is_cloned_with_a_disk_of_its_own(on: Templates) -> None:
    guest(on)
    on.cli("guest", "clone", "web", "twin")
    assert sources(on, "twin") == [{"file": f"{POOL}/twin.qcow2"}]
    assert sources(on, "web") == [{"pool": "fast", "volume": "deb.qcow2"}]
    on.host.must("qemu-io", "-f", "qcow2", "-c", "read -P 7 1M 1M", f"{POOL}/twin.qcow2")


def test_no_clone_shares_what_another_guest_writes_to(on: Templates) -> None:
    guest(on, "base")
    below = ("-F", "qcow2", "-b", f"{POOL}/deb.qcow2")
    on.host.must("qemu-img", "create", "-q", "-f", "qcow2", *below, f"{POOL}/top.qcow2")
    on.cli("pool", "refresh", "fast")
    guest(on, "web", "top.qcow2")
    assert "a disk of base: it may change" in on.refused("guest.linked", "guest", "clone", "web", "twin", "--linked")


def test_a_guest_does_not_get_its_own_volume_twice(on: Templates) -> None:
    guest(on)
    assert "has" in on.refused("guest.in_use", "guest", "attach", "web", "--volume", "fast/deb.qcow2")
