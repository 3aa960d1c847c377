"""The plan of `snapshot revert`: one swap, what is kept before it, and what is refused."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from snapshot_builders import NVRAM, OPERATION, TPM, UUID, codes, disk, facts, image, record, told, wish
from vfioctl_snapshot.record import Part, Record, place
from vfioctl_snapshot.revert import revert
from vfioctl_snapshot.tpm import Held

from vfioctl.plugin import replace

BASE, ONE, NEW = "/images/vda.qcow2", "/images/vda.one.qcow2", "/images/vda.after-one.qcow2"
CLEAN = record("one", Part("vda", BASE, "qcow2", ONE))
UEFI = record("one", Part("vda", BASE, "qcow2", ONE), nvram=f"{NVRAM}.one", uefi=True)


SEALED = record("one", Part("vda", BASE, "qcow2", ONE), tpm=f"{TPM}.one")
THEN = Held(b"then", 0o600, 107, 108)


def guest(snapshot=CLEAN, *more, **wishes):
    images = (image(BASE), image(ONE, BASE), *more)
    known = {"nvram": NVRAM, "uefi": True} if snapshot.uefi else {}
    return facts(disk(source=ONE), images=images, **{"records": (snapshot,), **known, **wishes})


def plan(found, snapshot=CLEAN, *, keep=True, **more):
    return revert(found, snapshot, wish("before-revert-1", **more), keep=keep, limit=100)


def written(draft, kind: str) -> str:
    (step,) = (step for step in draft.steps.made if step.kind == kind)
    return next(content.data.decode() for content in draft.contents if content.name == step.params["blob"])


def test_the_present_state_is_kept_before_the_guest_is_put_over_the_old_image():
    assert told(plan(guest())) == [
        f"disk.overlay {NEW} over {BASE}", f"file.write {place(UUID, 'before-revert-1')}", "domain.define",
    ]  # fmt: skip
    kept = Record.from_json(written(plan(guest()), "file.write"))
    assert (kept.disks, kept.origin) == ((Part("vda", ONE, "qcow2"),), "revert")


def test_disks_and_firmware_are_swapped_by_one_change_of_the_domain():
    draft = plan(guest(UEFI), UEFI)
    new = f"{NVRAM}.vfioctl-{OPERATION}.fd"
    assert told(draft)[1] == f"file.copy {NVRAM}.one -> {new}"
    root = ET.fromstring(written(draft, "domain.define"))
    assert (root.findtext("os/nvram"), root.find("devices/disk/source").get("file")) == (new, NEW)


def test_the_firmware_that_the_guest_leaves_belongs_to_the_state_that_is_kept():
    assert Record.from_json(written(plan(guest(UEFI), UEFI), "file.write")).nvram == NVRAM


def test_a_second_revert_names_the_firmware_after_the_first_one():
    former = f"{NVRAM}.vfioctl-11111111.fd"
    assert f"-> {NVRAM}.vfioctl-{OPERATION}.fd" in told(plan(guest(UEFI, nvram=former), UEFI))[1]


def test_disks_only_leaves_the_firmware_and_keeps_a_copy_of_it():
    draft = plan(guest(UEFI), UEFI, disks_only=True)
    assert f"file.copy {NVRAM} -> {NVRAM}.before-revert-1" in told(draft)
    assert ET.fromstring(written(draft, "domain.define")).findtext("os/nvram") == NVRAM


def test_a_snapshot_without_a_copy_of_the_firmware_needs_disks_only():
    bare = record("one", Part("vda", BASE, "qcow2", ONE), uefi=True)
    assert codes(plan(guest(bare), bare)) == [("snapshot.without_nvram", "block")]
    assert codes(plan(guest(bare), bare, disks_only=True)) == []


def test_discard_deletes_the_present_state_last_and_asks():
    draft = plan(guest(), keep=False)
    assert told(draft) == [f"disk.overlay {NEW} over {BASE}", "domain.define", f"file.delete {ONE}"]
    assert ONE in draft.lost[1]
    assert plan(guest()).lost == ()


def without_image(snapshot=CLEAN, **known):
    """The guest, whose present image somebody has removed."""
    found = guest(snapshot, **known)
    return replace(found, images={path: one for path, one in found.images.items() if path != ONE})


@pytest.mark.parametrize("keep", [True, False])
def test_a_guest_whose_present_image_is_gone_goes_back_and_nothing_of_it_is_kept(keep):
    draft = plan(without_image(), keep=keep)
    assert told(draft) == [f"disk.overlay {NEW} over {BASE}", "domain.define"]
    assert codes(draft) == [("snapshot.unreadable", "warn")]
    assert f"vda of guest win11 is not kept: its image {ONE} is not there" in draft.findings[0].message
    assert draft.shown["kept"] is None


def test_what_is_there_beside_an_image_that_is_gone_is_kept_by_itself():
    draft = plan(without_image(UEFI), UEFI)
    kept = Record.from_json(written(draft, "file.write"))
    assert (kept.disks, kept.nvram) == ((), NVRAM)
    assert draft.shown["kept"]["name"] == "before-revert-1"


def test_discard_names_no_image_that_is_gone_as_lost():
    assert not any(ONE in line for line in plan(without_image(), keep=False).lost)


def test_discard_leaves_what_a_snapshot_needs():
    later = record("two", Part("vda", ONE, "qcow2"))
    draft = plan(guest(records=(CLEAN, later)), keep=False)
    assert not [step for step in told(draft) if step.startswith("file.delete")]


def test_an_incomplete_snapshot_is_refused_whole():
    broken = record("one", Part("vda", BASE, "qcow2"), Part("vdb", "/images/gone.qcow2", "qcow2"))
    draft = plan(facts(disk(), disk("vdb"), records=(broken,)), broken)
    assert codes(draft) == [("snapshot.incomplete", "block")]
    assert told(draft) == []


def test_a_copy_of_the_firmware_that_is_gone_is_refused():
    assert codes(plan(guest(UEFI, files={}), UEFI))[0] == ("snapshot.incomplete", "block")


def test_a_disk_that_the_guest_has_no_more_is_refused():
    wider = record("one", Part("vda", BASE, "qcow2"), Part("vdb", BASE, "qcow2"))
    assert codes(plan(guest(wider), wider)) == [("snapshot.disk_gone", "block")]


def test_the_state_of_the_tpm_is_put_in_its_place_after_the_domain_and_the_present_one_kept():
    found = guest(SEALED, tpm=TPM, vtpm="emulator")
    draft = revert(found, SEALED, wish("before-revert-1"), keep=True, limit=100, state=THEN)
    assert codes(draft) == []
    assert told(draft) == [
        f"disk.overlay {NEW} over {BASE}", f"file.copy {TPM} -> {TPM}.before-revert-1",
        f"file.write {place(UUID, 'before-revert-1')}", "domain.define", f"file.write {TPM}",
    ]  # fmt: skip
    put = draft.steps.made[-1].params
    assert (put["mode"], put["uid"], put["gid"], put["replace"]) == ("0600", 107, 108, True)
    assert b"then" in [content.data for content in draft.contents]


def test_a_snapshot_without_the_state_of_the_tpm_needs_disks_only():
    found = guest(tpm=TPM, vtpm="emulator")
    assert codes(plan(found)) == [("snapshot.without_tpm", "block")]
    assert codes(plan(found, disks_only=True)) == []


def test_the_state_of_another_tpm_is_not_put_back():
    other = TPM.replace("tpm2", "tpm1.2")
    assert codes(plan(guest(SEALED, tpm=other, vtpm="emulator"), SEALED)) == [("snapshot.without_tpm", "block")]


def test_a_copy_of_the_state_that_is_gone_is_refused():
    assert codes(plan(guest(SEALED, files={}, tpm=TPM, vtpm="emulator"), SEALED)) == [("snapshot.incomplete", "block")]


def test_a_tpm_of_the_host_has_no_state_to_go_back_to():
    assert codes(plan(guest(vtpm="passthrough"))) == [("snapshot.vtpm_state", "block")]


def test_a_running_guest_is_to_be_shut_down_first():
    draft = plan(guest(state="running"))
    assert codes(draft) == [("snapshot.running", "block")]
    assert "virsh shutdown win11" in draft.findings[0].hint


def test_a_saved_guest_is_refused():
    assert codes(plan(guest(saved=True))) == [("snapshot.saved", "block")]
