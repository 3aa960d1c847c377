"""The step kinds that write an image below a running guest's down, and let libvirt's records follow, on a real QEMU."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from disk_images import create, fill
from domain_steps import codes, do, state, undo
from domain_steps import step_of as about
from libvirt_machine import Guest
from step_builders import planned

from vfioctl.errors import StepRefused
from vfioctl.txn.kind import kind
from vfioctl.txn.step import State, Step

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
SLOW = 64 << 10  # bytes a second
BYTES = 16  # VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES


@pytest.fixture
def stacked(lab: Any, machine: Any, request: pytest.FixtureRequest) -> Iterator[Guest]:
    """It runs on an image over two others over its first disk; each has bytes of its own."""
    guest = Guest(lab, machine, f"c{abs(hash(request.node.name))}")
    fill(guest.disk, 3, 1)
    below = str(guest.disk)
    for number, name in enumerate(("middle", "upper", "top")):
        create(path_of(guest, name), backing=below)
        below = path_of(guest, name)
        fill(below, 5 + number, 1 + number)
    guest.define(guest.xml.replace(str(guest.disk), below))
    guest.start()
    yield guest
    guest.remove()


def path_of(guest: Guest, name: str) -> str:
    return guest.machine.paths.at("srv", f"{name}.qcow2")


def commit(guest: Guest, **more: Any) -> Step:
    """The upper one goes into the first disk, with the middle one."""
    params = {
        "path": "/srv/top.qcow2", "backing": "/srv/upper.qcow2", "backing_format": "qcow2",
        "to": f"/srv/{os.path.basename(guest.disk)}", "to_format": "qcow2",
        "domain": guest.uuid, "uri": guest.uri, "target": "vda", **more,
    }  # fmt: skip
    return planned(guest.machine, "disk.commit", params, deadline=30.0)


def reads(path: str, *patterns: int) -> None:
    """The sections of the image from the second on hold these."""
    for number, pattern in enumerate(patterns):
        argv = ["qemu-io", "-U", "-r", "-c", f"read -P {pattern} {1 + number}M 64k", path]
        assert "verification failed" not in subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_an_image_that_a_running_guest_has_open_goes_into_one_below_it(stacked: Guest) -> None:
    step, heard = commit(stacked), []
    assert codes(step, stacked.machine) == []
    assert state(step, stacked) is State.BEFORE
    kind(step.kind).guard(step, stacked.machine)
    watched = stacked.machine.watched(lambda *said: heard.append(said), lambda: None)
    assert kind(step.kind).apply(step, watched) is None
    assert state(step, stacked) is State.AFTER
    assert "does not lie over" in (do(step, stacked) or "")
    assert "holds all, or a part" in (undo(step, stacked) or "")
    assert state(step, stacked) is State.AFTER
    reads(str(stacked.disk), 5, 6)
    for name in ("middle", "upper"):
        os.unlink(path_of(stacked, name))
    stacked.destroy()
    reads(path_of(stacked, "top"), 5, 6, 7)
    stacked.start()


def test_of_a_guest_that_is_off_by_then_qemu_img_does_it_and_its_configuration_follows(stacked: Guest) -> None:
    step = commit(stacked)
    stacked.destroy()
    assert do(step, stacked) is None
    assert state(step, stacked) is State.AFTER
    assert "already" not in (do(step, stacked) or "")
    assert "upper.qcow2" not in stacked.xml
    for name in ("middle", "upper"):
        os.unlink(path_of(stacked, name))
    reads(path_of(stacked, "top"), 5, 6, 7)
    stacked.start()


def test_a_job_that_is_at_work_is_ended_by_the_undo_and_waited_for_by_the_apply(stacked: Guest) -> None:
    step = commit(stacked)
    stacked.handle.blockCommit("vda", str(stacked.disk), path_of(stacked, "upper"), SLOW, BYTES)
    assert state(step, stacked) is State.BETWEEN
    undo(step, stacked)
    assert state(step, stacked) is State.BEFORE
    assert stacked.handle.blockJobInfo("vda", 0) == {}
    reads(path_of(stacked, "upper"), 5, 6)
    stacked.handle.blockCommit("vda", str(stacked.disk), path_of(stacked, "upper"), 16 * SLOW, BYTES)
    assert do(step, stacked) is None
    assert state(step, stacked) is State.AFTER
    reads(str(stacked.disk), 5, 6)


def test_another_job_on_its_disk_is_found_before_anything_is_touched(stacked: Guest) -> None:
    copy = f"<disk type='file'><source file='{path_of(stacked, 'copy')}'/><driver type='qcow2'/></disk>"
    stacked.handle.blockCopy("vda", copy, {}, 4)  # VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
    assert codes(commit(stacked), stacked.machine) == ["disk.busy"]
    with pytest.raises(StepRefused) as caught:
        do(commit(stacked), stacked)
    assert caught.value.code == "disk.busy"
    stacked.handle.blockJobAbort("vda", 0)


def test_what_another_guest_has_come_to_need_is_not_written_to(stacked: Guest, lab: Any) -> None:
    step = commit(stacked)
    other = Guest(lab, stacked.machine, f"{stacked.name}x")
    other.define(other.xml.replace(str(other.disk), path_of(stacked, "upper")))
    with pytest.raises(StepRefused) as caught:
        do(step, stacked)
    other.remove()
    assert caught.value.code == "file.needed"
    assert state(step, stacked) is State.BEFORE


def test_an_image_that_is_larger_than_what_would_go_into_it_is_refused(stacked: Guest) -> None:
    step = commit(stacked)
    stacked.destroy()
    argv = ["qemu-img", "resize", "-q", "-f", "qcow2", str(stacked.disk), "+1M"]
    subprocess.run(argv, check=True)
    stacked.start()
    with pytest.raises(StepRefused, match="is larger"):
        do(step, stacked)


def test_a_disk_that_does_not_lie_over_it_is_refused(stacked: Guest) -> None:
    elsewhere = create(path_of(stacked, "elsewhere"))
    with pytest.raises(StepRefused, match="does not lie over"):
        do(commit(stacked, to=f"/srv/{os.path.basename(elsewhere)}"), stacked)


# snapshot.follow


def follow(guest: Guest, **more: Any) -> Step:
    upper, disk = path_of(guest, "upper"), str(guest.disk)
    images = {"images": {upper: disk}, "formats": {disk: "raw"}}
    return about(guest, "snapshot.follow", name="kept", **{**images, **more})


def named(guest: Guest) -> tuple[list[str], list[str]]:
    """The files and formats that the domains in libvirt's record have."""
    from xml.etree import ElementTree as ET

    root = ET.fromstring(guest.handle.snapshotLookupByName("kept").getXMLDesc())
    files = [source.get("file", "") for source in root.iterfind("*/devices/disk//source")]
    return files, [driver.get("type", "") for driver in root.iterfind("*/devices/disk/driver")]


def record(guest: Guest, image: str, chain: str = "") -> None:
    """libvirt has a record of a disk on `image`, and of the `chain` below it where that is given."""
    import libvirt

    domain = guest.xml.replace(path_of(guest, "top"), image).replace("<target dev='vda'", f"{chain}<target dev='vda'")
    text = f"""<domainsnapshot><name>kept</name><state>shutoff</state><creationTime>1700000000</creationTime>
      <memory snapshot='no'/><disks><disk name='vda' snapshot='external' type='file'><driver type='qcow2'/>
      <source file='{path_of(guest, "top")}'/></disk></disks>{domain}</domainsnapshot>"""
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT
    guest.handle.snapshotCreateXML(text, flags)


def test_a_record_of_libvirt_names_what_holds_the_same_and_stays_the_current_one(stacked: Guest) -> None:
    record(stacked, path_of(stacked, "upper"))
    step = follow(stacked)
    assert codes(step, stacked.machine) == []
    assert state(step, stacked) is State.BEFORE
    assert do(step, stacked) is None
    assert state(step, stacked) is State.AFTER
    assert named(stacked) == ([str(stacked.disk)], ["raw"])
    assert stacked.handle.snapshotLookupByName("kept").isCurrent()
    assert "names none of them" in (do(step, stacked) or "")
    undo(step, stacked)
    assert named(stacked) == ([str(stacked.disk)], ["raw"])


def test_one_that_names_none_of_the_images_is_found_and_one_that_is_gone_too(stacked: Guest) -> None:
    record(stacked, path_of(stacked, "middle"))
    assert codes(follow(stacked), stacked.machine) == ["snapshot.changed"]
    stacked.handle.snapshotLookupByName("kept").delete(2)  # METADATA_ONLY
    assert codes(follow(stacked), stacked.machine) == ["snapshot.changed"]


def test_a_chain_with_an_image_that_is_gone_is_left_out_and_the_disk_stays(stacked: Guest) -> None:
    middle, lower = path_of(stacked, "middle"), str(stacked.disk)
    chain = f"<backingStore type='file'><format type='qcow2'/><source file='{lower}'/><backingStore/></backingStore>"
    record(stacked, middle, chain)
    assert set(named(stacked)[0]) == {middle, lower}
    step = follow(stacked, images={}, formats={}, gone=[lower])
    assert codes(step, stacked.machine) == []
    assert do(step, stacked) is None
    assert named(stacked) == ([middle], ["qcow2"])
    assert state(step, stacked) is State.AFTER
    assert "names none of them" in (do(step, stacked) or "")


def test_a_disk_on_an_image_that_is_gone_is_left_as_it_is(stacked: Guest) -> None:
    record(stacked, path_of(stacked, "middle"))
    step = follow(stacked, images={}, formats={}, gone=[path_of(stacked, "middle")])
    assert codes(step, stacked.machine) == ["snapshot.changed"]


def test_each_image_that_is_named_has_a_format(stacked: Guest) -> None:
    assert "formats lacks" in kind("snapshot.follow").unfit({**follow(stacked).params, "formats": {}})
