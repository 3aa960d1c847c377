"""The plans for snapshots inside the images: the present state is kept first, and both kinds are not mixed."""

from __future__ import annotations

from snapshot_builders import NVRAM, OPERATION, TPM, codes, disk, facts, image, record, told, wish
from vfioctl_snapshot.facts import File
from vfioctl_snapshot.headers import Internal
from vfioctl_snapshot.inside import delete, revert
from vfioctl_snapshot.record import INTERNAL, Part
from vfioctl_snapshot.tpm import Held

NAME = "vfioctl-20260101-000000"
BOOT = record(NAME, Part("vda", "/images/vda.qcow2", "qcow2"), origin="boot", method=INTERNAL)
UEFI = record(NAME, Part("vda", "/images/vda.qcow2", "qcow2"), origin="boot", method=INTERNAL, nvram=f"{NVRAM}.{NAME}",
              uefi=True)  # fmt: skip


def guest(*more, **wishes):
    held = image("/images/vda.qcow2", snapshots=(Internal(NAME, 1.0, has_memory=False),))
    return facts(disk(), *more, images=(held,), **wishes)


def uefi(**wishes):
    files = {path: File(path, 1, 1) for path in (NVRAM, f"{NVRAM}.{NAME}")}
    return guest(nvram=NVRAM, uefi=True, files=files, **wishes)


def test_the_present_state_is_kept_before_the_disk_is_put_back():
    draft = revert(guest(), BOOT, wish("before-revert-1"))
    assert told(draft) == ["disk.snapshot /images/vda.qcow2", "disk.snapshot_apply /images/vda.qcow2"]
    assert draft.steps.made[1].params["kept"] == f"before-revert-1-{OPERATION}"


def test_the_firmware_is_swapped_with_the_disks_and_the_former_one_kept():
    draft = revert(uefi(), UEFI, wish("before-revert-1"))
    assert told(draft) == [
        "disk.snapshot /images/vda.qcow2", f"file.copy {NVRAM} -> {NVRAM}.before-revert-1-{OPERATION}",
        f"file.copy {NVRAM}.{NAME} -> {NVRAM}.vfioctl-{OPERATION}.fd", "disk.snapshot_apply /images/vda.qcow2",
        "domain.define",
    ]  # fmt: skip


def test_without_a_copy_of_the_firmware_only_the_disks_go_back():
    assert codes(revert(uefi(), BOOT, wish())) == [("snapshot.without_nvram", "block")]
    assert codes(revert(uefi(), BOOT, wish(disks_only=True))) == []


def test_the_state_of_the_tpm_goes_back_and_the_present_one_is_kept():
    sealed = record(NAME, *BOOT.disks, origin="boot", method=INTERNAL, tpm=f"{TPM}.{NAME}")
    files = {path: File(path, 1, 1) for path in (TPM, f"{TPM}.{NAME}")}
    found = guest(vtpm="emulator", tpm=TPM, files=files)
    assert told(revert(found, sealed, wish("before-revert-1"), Held(b"then", 0o600, 107, 107))) == [
        "disk.snapshot /images/vda.qcow2", f"file.copy {TPM} -> {TPM}.before-revert-1-{OPERATION}",
        "disk.snapshot_apply /images/vda.qcow2", f"file.write {TPM}",
    ]  # fmt: skip
    assert told(delete(found, (sealed,)))[1] == f"file.delete {TPM}.{NAME}"


def test_without_a_copy_of_the_state_of_the_tpm_only_the_disks_go_back():
    found = guest(vtpm="emulator", tpm=TPM, files={TPM: File(TPM, 1, 1)})
    assert codes(revert(found, BOOT, wish())) == [("snapshot.without_tpm", "block")]
    assert codes(revert(found, BOOT, wish(disks_only=True))) == []


def test_one_with_memory_is_libvirts_to_go_back_to():
    live = record(NAME, Part("vda", "/images/vda.qcow2", "qcow2"), method=INTERNAL, memory=True)
    draft = revert(guest(), live, wish())
    assert codes(draft) == [("snapshot.memory", "block")]
    assert f"virsh snapshot-revert win11 {NAME}" in draft.findings[0].hint


def test_one_with_memory_goes_back_into_no_guest_with_a_card():
    live = record(NAME, Part("vda", "/images/vda.qcow2", "qcow2"), method=INTERNAL, memory=True)
    (found,) = revert(guest(hostdevs=2), live, wish()).findings
    assert "passed-through devices, whose state no memory holds" in found.message
    assert found.hint == "Take the devices out of the guest first, with: virsh edit win11"


def test_external_ones_beside_it_are_seen():
    assert codes(revert(guest(records=(record("one"),)), BOOT, wish())) == [("snapshot.mixed", "block")]


def test_a_disk_that_has_no_part_in_it_is_named():
    other = image("/images/vdb.qcow2", snapshots=(Internal("x", 1.0, has_memory=False),))
    found = guest(disk("vdb"))
    found = type(found)(**{**found.__dict__, "images": {**found.images, other.path: other}})
    assert codes(revert(found, BOOT, wish())) == [("snapshot.part", "warn")]


def test_what_lies_over_such_an_image_keeps_it_from_going_back():
    found = guest()
    over = image("/images/clone.qcow2", "/images/vda.qcow2")
    found = type(found)(**{**found.__dict__, "images": {**found.images, over.path: over}})
    assert codes(revert(found, BOOT, wish())) == [("snapshot.needed", "block")]


def test_they_are_taken_out_of_each_image_with_the_copy_of_the_firmware():
    draft = delete(uefi(), (UEFI,))
    assert [step.kind for step in draft.steps.made] == ["disk.snapshot_delete", "file.delete"]
    assert draft.lost


def test_a_running_guest_is_refused():
    assert codes(delete(guest(state="running"), (BOOT,))) == [("snapshot.running", "block")]
