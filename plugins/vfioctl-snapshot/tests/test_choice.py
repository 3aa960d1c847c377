"""Which disks are left out, what is said of them, and when that keeps the guest from starting."""

from __future__ import annotations

import os
import subprocess

import pytest
from vfioctl_snapshot.plugin import vfioctl_snapshot

from vfioctl.events.model import Disk


def outcome(bench, codes, disk, policy="try", **more):
    """The steps' kinds and the findings for `disk` under `policy`."""
    claim = vfioctl_snapshot(disk, bench.request(disk, settings={"disks": {disk.target: policy}}, **more))
    return [step.kind for step in claim.create], codes(claim.findings)


def test_a_second_raw_disk_is_normal_and_only_mentioned(bench, codes):
    assert outcome(bench, codes, bench.disk("vdb", format="raw")) == ([], [("snapshot.raw", "info")])


def test_a_raw_disk_that_must_be_snapshotted_blocks_with_one_clear_sentence(bench):
    disk = bench.disk("vdb", format="raw")
    (found,) = vfioctl_snapshot(disk, bench.request(disk, settings={"policy": "require"})).findings
    assert found.severity == "block"
    assert found.message == "vdb of guest win11 is not snapshotted: it is a raw image, and only qcow2 holds snapshots."
    assert found.hint == 'Start without it by setting vdb = "skip" under [snapshot.disks] in the guest file.'


def test_a_disk_that_is_skipped_is_not_even_looked_at(bench):
    disk = Disk("vdb", "file", "disk", "qcow2", "/images/absent.qcow2")
    assert vfioctl_snapshot(disk, bench.request(disk, settings={"disks": {"vdb": "skip"}})) is None


def test_the_policy_of_a_disk_beats_that_of_all(bench):
    disk = bench.disk("vda")
    request = bench.request(disk, settings={"policy": "skip", "disks": {"vda": "try"}})
    assert vfioctl_snapshot(disk, request).create


@pytest.mark.parametrize("device", ["cdrom", "floppy"])
def test_drives_are_left_alone(bench, device):
    disk = Disk("sda", "file", device, "raw", "/images/installer.iso", readonly=True)
    assert vfioctl_snapshot(disk, bench.request(disk, settings={"policy": "require"})) is None


@pytest.mark.parametrize(
    ("facts", "code", "severity"),
    [
        ({"type": "block", "source": "/dev/vg/win"}, "snapshot.not_here", "info"),
        ({"type": "network", "source": None}, "snapshot.not_here", "info"),
        ({"source": None}, "snapshot.not_here", "info"),
        ({"readonly": True}, "snapshot.unsuited", "info"),
        ({"shareable": True}, "snapshot.unsuited", "info"),
        ({"transient": True}, "snapshot.unsuited", "info"),
        ({"format": None, "source": "/images/x"}, "snapshot.raw", "info"),
        ({"format": "vmdk"}, "snapshot.format", "warn"),
        ({"external_snapshot": True}, "snapshot.external", "warn"),
        ({"has_backing_store": True}, "snapshot.external", "warn"),
        ({"source": "/images/absent.qcow2"}, "snapshot.unreadable", "warn"),
    ],
)
def test_what_cannot_be_snapshotted_is_said_and_blocks_only_where_it_is_required(bench, codes, facts, code, severity):
    disk = bench.disk("vda", **facts)
    assert outcome(bench, codes, disk, "try") == ([], [(code, severity)])
    assert outcome(bench, codes, disk, "require") == ([], [(code, "block")])


def test_an_image_that_only_claims_to_be_qcow2_is_not_snapshotted(bench, codes):
    disk = bench.disk("vda", source=bench.image("lie.qcow2", form="raw"))
    assert outcome(bench, codes, disk, "require") == ([], [("snapshot.unreadable", "block")])


def test_an_image_whose_data_lie_elsewhere_is_not_snapshotted(bench, codes):
    data = f"data_file={bench.paths.at('images/data.raw')}"
    disk = bench.disk("vda", source=bench.image("external.qcow2", options=("-o", data)))
    assert outcome(bench, codes, disk, "require") == ([], [("snapshot.format", "block")])


@pytest.fixture
def open_elsewhere():
    """Opens an image for writing in another process, as a running guest does."""
    started = []

    def open_image(path: str) -> None:
        argv = ["qemu-io", "-f", "qcow2", path]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        process.stdin.write(b"info\n")
        process.stdin.flush()
        process.stdout.readline()  # it answers only once the image is open and locked

    yield open_image
    for process in started:
        process.communicate(b"quit\n")


@pytest.mark.parametrize("policy", ["try", "require"])
def test_an_image_in_use_blocks_whatever_the_policy(bench, codes, open_elsewhere, policy):
    disk = bench.disk("vda")
    open_elsewhere(bench.paths.at(disk.source))
    assert outcome(bench, codes, disk, policy) == ([], [("snapshot.in_use", "block")])


def test_an_incoming_guest_is_never_snapshotted_and_never_kept_from_coming(bench, codes):
    disk = bench.disk("vda")
    assert outcome(bench, codes, disk, "try", incoming=True) == ([], [("snapshot.incoming", "info")])
    assert outcome(bench, codes, disk, "require", incoming=True) == ([], [("snapshot.incoming", "warn")])


@pytest.fixture
def metadata(bench):
    """Writes a snapshot of libvirt's as it keeps them."""

    def write(text: str) -> None:
        directory = bench.paths.at("var/lib/libvirt/qemu/snapshot/win11")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "clean.xml"), "w") as file:
            file.write(text)

    return write


def snapshot_xml(*disks: str) -> str:
    return f"<domainsnapshot><name>clean</name><disks>{''.join(disks)}</disks><domain/></domainsnapshot>"


def test_a_disk_under_an_external_snapshot_of_libvirt_is_refused_by_its_name(bench, metadata):
    metadata(snapshot_xml("<disk name='vda' snapshot='external' type='file'><source file='/images/overlay'/></disk>"))
    disk = bench.disk("vda")
    (found,) = vfioctl_snapshot(disk, bench.request(disk, settings={"policy": "require"})).findings
    assert (found.code, found.severity) == ("snapshot.external", "block")
    assert "the external snapshot 'clean' of it" in found.message


def test_internal_snapshots_of_libvirt_and_those_of_other_disks_do_no_harm(bench, codes, metadata):
    metadata(snapshot_xml("<disk name='vda' snapshot='internal'/>", "<disk name='vdb' snapshot='external'/>"))
    assert outcome(bench, codes, bench.disk("vda")) == (["disk.snapshot"], [])


def test_metadata_that_cannot_be_read_counts_as_external(bench, codes, metadata):
    metadata("<domainsnapshot>")
    assert outcome(bench, codes, bench.disk("vda")) == ([], [("snapshot.external", "warn")])


def test_a_linked_clone_with_no_snapshot_of_libvirt_is_snapshotted(bench, codes):
    base = bench.paths.at(bench.image("base.qcow2"))
    disk = bench.disk("vda", source=bench.image("clone.qcow2", options=("-b", base, "-F", "qcow2")))
    assert outcome(bench, codes, disk) == (["disk.snapshot"], [])


def test_without_qemu_img_a_required_snapshot_blocks(bench, codes):
    disk = bench.disk("vda")
    os.unlink(bench.paths.at("usr/bin/qemu-img"))
    assert outcome(bench, codes, disk, "require") == ([], [("snapshot.unreadable", "block")])


def test_no_image_is_ever_opened_past_its_lock(bench, codes):
    """A wrapper in the place of qemu-img keeps every argument that the plugin and the steps give it."""
    program = bench.paths.at("usr/bin/qemu-img")
    real = os.readlink(program)
    os.unlink(program)
    with open(program, "w") as script:
        script.write(f"#!/bin/sh\necho \"$*\" >> {bench.paths.at('calls')}\nexec {real} \"$@\"\n")
    os.chmod(program, 0o755)
    disk = bench.disk("vda")
    bench.carry_out(*vfioctl_snapshot(disk, bench.request(disk)).create)
    with open(bench.paths.at("calls")) as calls:
        words = calls.read().split()
    assert "snapshot" in words
    assert not {"-U", "--force-share", "--image-opts"} & set(words)


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ('{"format-specific": {"data": {"corrupt": true}}}', "snapshot.corrupt"),
        ("no JSON", "snapshot.unreadable"),
        ('{"snapshots": [{}]}', "snapshot.unreadable"),
    ],
)
def test_an_image_that_qemu_img_calls_corrupt_or_describes_oddly_is_not_snapshotted(bench, codes, shown, code):
    program = bench.paths.at("usr/bin/qemu-img")
    disk = bench.disk("vda")
    os.unlink(program)
    with open(program, "w") as script:
        script.write(f"#!/bin/sh\necho '{shown}'\n")
    os.chmod(program, 0o755)
    assert outcome(bench, codes, disk, "require") == ([], [(code, "block")])
