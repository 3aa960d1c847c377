"""What the root of a guest writes to the beginning of its raw disk, on a real libvirtd: no file of the host is read.

libvirt calls such a volume qcow2 after a refresh, with whatever the header names below it.
"""

from __future__ import annotations

import pytest
import snapshot_lab
from template_lab import PLACE, Templates

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")
pytest.importorskip("vfioctl_guest")

POOL = f"{PLACE}/fast"
SECRET, HEADER = "/var/secret", "/var/header"
COPIES = {
    "clone": ("volume", "clone", "fast", "web.raw", "new.qcow2"),
    "linked": ("volume", "clone", "fast", "web.raw", "new.qcow2", "--linked"),
    "template": ("template", "add", "new", "--pool", "fast", "--volume", "fast/web.raw"),
    "compact": ("volume", "compact", "fast", "web.raw"),
}
TOPS = {
    "clone": ("volume", "clone", "fast", "top.qcow2", "new.qcow2"),
    "template": ("template", "add", "new", "--pool", "fast", "--volume", "fast/top.qcow2"),
    "create": ("guest", "create", "new", "--memory", "64M", "--volume", "fast/top.qcow2"),
}


@pytest.fixture
def on(templates: Templates) -> Templates:
    templates.host.must("sh", "-c", f"head -c 8M /dev/urandom > {SECRET}; chmod 0600 {SECRET}")
    return templates


def raw_guest(on: Templates) -> str:
    """A guest that is off, whose disk is raw."""
    made = snapshot_lab.Guest(on.host)
    on.host.must("rm", *made.sources.values())
    on.host.must("truncate", "-s", "8M", f"{POOL}/web.raw")
    made.define({"vda": (f"{POOL}/web.raw", "raw")})
    return str(made.name)


def plant(on: Templates, below: str, form: str = "raw") -> None:
    """What the guest does to its disk, and libvirt's look at it."""
    on.host.must("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", form, "-b", below, HEADER, "8M")
    on.host.must("dd", f"if={HEADER}", f"of={POOL}/web.raw", "conv=notrunc", "status=none")
    on.cli("pool", "refresh", "fast")
    assert on.data("volume", "show", "fast", "web.raw")["volume"]["format"] == "qcow2"


def test_a_raw_disk_that_begins_as_an_image_is_not_cloned_with_its_guest(on: Templates) -> None:
    name = raw_guest(on)
    plant(on, SECRET)
    said = on.refused("guest.clone_disk", "guest", "clone", name, "twin")
    assert "vda is raw to the guest" in said
    assert "begins as qcow2" in said


@pytest.mark.parametrize("verb", COPIES)
def test_what_it_names_in_a_pool_is_read_as_little(on: Templates, verb: str) -> None:
    name = raw_guest(on)
    on.host.must("qemu-img", "create", "-q", "-f", "qcow2", f"{POOL}/other.qcow2", "8M")
    plant(on, f"{POOL}/other.qcow2", "qcow2")
    said = on.refused("volume.format", *COPIES[verb])
    assert f"raw to {name}" in said


def test_what_a_snapshot_has_kept_of_a_raw_disk_is_raw_to_what_lies_above_it(on: Templates) -> None:
    raw_guest(on)
    on.host.must("qemu-img", "create", "-q", "-f", "qcow2", f"{POOL}/other.qcow2", "8M")
    below = ("-F", "raw", "-b", f"{POOL}/web.raw")
    on.host.must("qemu-img", "create", "-q", "-f", "qcow2", *below, f"{POOL}/above.qcow2")
    plant(on, f"{POOL}/other.qcow2", "qcow2")
    for guest in on.host.lab.virsh("list", "--all", "--name").stdout.split():
        on.host.lab.virsh("undefine", guest)
    assert f"raw to {POOL}/above.qcow2" in on.refused("volume.format", *COPIES["clone"])


def test_a_raw_disk_that_is_one_is_cloned_with_its_guest(on: Templates) -> None:
    name = raw_guest(on)
    on.cli("pool", "refresh", "fast")
    on.cli("guest", "clone", name, "twin")
    assert f"{POOL}/twin.raw" in on.files()


def test_the_chain_of_a_cloned_disk_must_lie_in_the_pools(on: Templates) -> None:
    made = snapshot_lab.Guest(on.host)
    on.host.must("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", SECRET, f"{POOL}/top.qcow2", "8M")
    made.define({"vda": (f"{POOL}/top.qcow2", "qcow2")})
    on.cli("pool", "refresh", "fast")
    assert SECRET in on.refused("volume.outside", "guest", "clone", made.name, "twin")


@pytest.mark.parametrize("verb", TOPS)
def test_an_image_whose_data_are_in_another_file_is_neither_copied_nor_given(on: Templates, verb: str) -> None:
    on.host.must("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={SECRET}", f"{POOL}/top.qcow2", "8M")
    on.cli("pool", "refresh", "fast")
    assert "has its data in another file" in on.refused("volume.backing", *TOPS[verb])


def test_such_an_image_further_down_is_found_as_well(on: Templates) -> None:
    on.host.must("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={SECRET}", f"{POOL}/base.qcow2", "8M")
    below = ("-F", "qcow2", "-b", f"{POOL}/base.qcow2")
    on.host.must("qemu-img", "create", "-q", "-f", "qcow2", *below, f"{POOL}/top.qcow2")
    on.cli("pool", "refresh", "fast")
    assert f"{POOL}/base.qcow2 has its data" in on.refused("volume.backing", *TOPS["clone"])
