"""The plan of `snapshot create`: what is made, in which order, and what is refused."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from snapshot_builders import NVRAM, TPM, UUID, codes, disk, facts, image, record, told, wish
from vfioctl_snapshot.create import create
from vfioctl_snapshot.record import Part, Record
from vfioctl_snapshot.settings import Settings

from vfioctl.plugin import GuestSnapshot


def plan(found, name: str = "clean", settings: Settings | None = None, **more):
    return create(found, settings or Settings(), wish(name, **more))


def written(draft, kind: str) -> str:
    """What the step of the kind writes."""
    (step,) = (step for step in draft.steps.made if step.kind == kind)
    return next(content.data.decode() for content in draft.contents if content.name == step.params["blob"])


def sources(xml: str) -> dict[str, str]:
    root = ET.fromstring(xml)
    return {one.find("target").get("dev"): one.find("source").get("file") for one in root.iterfind("devices/disk")}


def test_every_disk_gets_an_overlay_before_the_guest_is_pointed_at_any():
    draft = plan(facts(disk(), disk("vdb", format="raw", source="/images/data.img"), nvram=NVRAM, uefi=True))
    assert told(draft) == [
        "disk.overlay /images/vda.clean.qcow2 over /images/vda.qcow2",
        "disk.overlay /images/data.clean.qcow2 over /images/data.img",
        f"file.copy {NVRAM} -> {NVRAM}.clean",
        "file.write /var/lib/vfioctl/snapshots/9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11/clean.json",
        "domain.define",
        "snapshot.record clean",
    ]


def test_each_step_comes_after_those_before_it():
    made = plan(facts(disk(), disk("vdb"))).steps.made
    assert [len(step.after) for step in made] == list(range(len(made)))


def test_the_new_configuration_names_the_overlays_and_no_backing_store():
    xml = written(plan(facts()), "domain.define")
    assert sources(xml) == {"vda": "/images/vda.clean.qcow2"}
    assert "backingStore" not in xml


def test_a_raw_disk_goes_on_as_qcow2():
    draft = plan(facts(disk(format="raw", source="/images/vda.img")))
    assert "type=\"qcow2\"" in written(draft, "domain.define")
    assert draft.steps.made[0].params["backing_format"] == "raw"


def test_what_is_kept_says_where_every_part_lies():
    kept = Record.from_json(written(plan(facts(nvram=NVRAM, uefi=True)), "file.write"))
    assert kept.disks == (Part("vda", "/images/vda.qcow2", "qcow2", "/images/vda.clean.qcow2"),)
    assert (kept.name, kept.nvram, kept.uefi, kept.state) == ("clean", f"{NVRAM}.clean", True, "off")


def test_libvirt_is_told_of_the_disks_and_of_the_domain_as_it_was():
    root = ET.fromstring(written(plan(facts(disk(), disk("vdb"), disk("sda", device="cdrom"))), "snapshot.record"))
    told = {one.get("name"): (one.get("snapshot"), getattr(one.find("source"), "attrib", {}).get("file"))
            for one in root.iterfind("disks/disk")}  # fmt: skip
    assert told == {
        "vda": ("external", "/images/vda.clean.qcow2"), "vdb": ("external", "/images/vdb.clean.qcow2"),
        "sda": ("no", None),
    }  # fmt: skip
    assert root.findtext("state") == "shutoff"
    assert sources(ET.tostring(root.find("domain"), encoding="unicode"))["vda"] == "/images/vda.qcow2"


def test_name_spaces_of_other_tools_keep_their_prefixes():
    found = facts()
    spaced = found.xml.replace("<devices>", "<metadata><o:x xmlns:o='http://o.example/'/></metadata><devices>")
    assert "<o:x" in written(plan(facts(xml=spaced)), "domain.define")


def test_the_name_of_the_snapshot_before_gives_way_to_the_new_one():
    before = record("first", Part("vda", "/images/vda.qcow2", "qcow2", "/images/vda.first.qcow2"))
    found = facts(
        disk(source="/images/vda.first.qcow2"), records=(before,),
        images=(image("/images/vda.first.qcow2", "/images/vda.qcow2"), image("/images/vda.qcow2")),
    )  # fmt: skip
    assert told(plan(found, "second"))[0] == "disk.overlay /images/vda.second.qcow2 over /images/vda.first.qcow2"


def test_a_path_that_is_taken_is_not_used():
    found = facts(images=(image("/images/vda.clean.qcow2"),))
    assert told(plan(found))[0] == "disk.overlay /images/vda.clean-2.qcow2 over /images/vda.qcow2"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"state": "crashed"}, "snapshot.running"),
        ({"saved": True}, "snapshot.saved"),
        ({"persistent": False}, "snapshot.transient"),
        ({"vtpm": "emulator", "tpm": TPM, "state": "running"}, "snapshot.vtpm_state"),
        ({"vtpm": "passthrough"}, "snapshot.vtpm_state"),
        ({"vtpm": "external", "state": "running"}, "snapshot.vtpm_state"),
        ({"state": "running", "saved": True}, "snapshot.saved"),
        ({"state": "running", "persistent": False}, "snapshot.transient"),
        ({"state": "running", "strayed": frozenset({"vda"})}, "snapshot.strayed"),
    ],
)
def test_a_state_that_forbids_it_is_refused_with_nothing_planned(state, code):
    draft = plan(facts(**state))
    assert codes(draft) == [(code, "block")]
    assert told(draft) == []


@pytest.mark.parametrize("state", ["running", "paused"])
def test_libvirt_changes_a_running_guest_over_when_all_else_is_there(state):
    draft = plan(facts(disk(), disk("vdb"), nvram=NVRAM, uefi=True, state=state))
    assert told(draft) == [
        "disk.overlay /images/vda.clean.qcow2 over /images/vda.qcow2",
        "disk.overlay /images/vdb.clean.qcow2 over /images/vdb.qcow2",
        f"file.copy {NVRAM} -> {NVRAM}.clean",
        "file.write /var/lib/vfioctl/snapshots/9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11/clean.json",
        "disk.live clean",
    ]
    assert [step.params["live"] for step in draft.steps.made[:2]] == [True, True]
    assert Record.from_json(written(draft, "file.write")).state == state


def test_libvirt_is_asked_for_the_chosen_disks_of_a_running_guest_and_for_no_other():
    root = ET.fromstring(written(plan(facts(disk(), disk("sda", device="cdrom"), state="running")), "disk.live"))
    asked = {one.get("name"): (one.get("snapshot"), getattr(one.find("source"), "attrib", {}).get("file"))
             for one in root.iterfind("disks/disk")}  # fmt: skip
    assert asked == {"vda": ("external", "/images/vda.clean.qcow2"), "sda": ("no", None)}


def test_only_a_running_guest_is_brought_to_a_standstill():
    assert plan(facts(state="running"), quiesce=True).steps.made[-1].params["quiesce"] is True
    assert "quiesce" not in plan(facts(state="running")).steps.made[-1].params
    assert not [step for step in plan(facts(), quiesce=True).steps.made if "quiesce" in step.params]


def test_a_strayed_disk_that_is_left_out_refuses_nothing():
    found = facts(disk(), disk("vdb"), state="running", strayed=frozenset({"vdb"}))
    assert codes(plan(found, settings=Settings(disks={"vdb": "skip"}))) == []


def test_disks_only_leaves_tpm_and_nvram_out():
    draft = plan(facts(vtpm="emulator", tpm=TPM, nvram=NVRAM, uefi=True), disks_only=True)
    assert codes(draft) == []
    assert not [step for step in told(draft) if step.startswith("file.copy")]


def test_the_state_of_an_emulated_tpm_is_copied_beside_itself():
    draft = plan(facts(vtpm="emulator", tpm=TPM))
    assert told(draft)[1] == f"file.copy {TPM} -> {TPM}.clean"
    assert Record.from_json(written(draft, "file.write")).tpm == f"{TPM}.clean"


def test_a_guest_that_never_ran_has_no_tpm_to_keep():
    draft = plan(facts(vtpm="emulator", tpm=TPM, files={}))
    assert codes(draft) == [("snapshot.no_tpm", "info")]
    assert Record.from_json(written(draft, "file.write")).tpm == ""


def test_a_guest_that_never_ran_has_no_nvram_to_keep():
    draft = plan(facts(nvram=NVRAM, uefi=True, files={}))
    assert codes(draft) == [("snapshot.no_nvram", "info")]
    assert not [step for step in told(draft) if step.startswith("file.copy")]


@pytest.mark.parametrize(
    ("of", "code", "severity"),
    [
        ({"kind": "network"}, "snapshot.not_here", "warn"),
        ({"readonly": True}, "snapshot.unsuited", "warn"),
        ({"shareable": True}, "snapshot.unsuited", "warn"),
        ({"transient": True}, "snapshot.unsuited", "warn"),
        ({"format": "vmdk"}, "snapshot.format", "warn"),
    ],
)
def test_a_disk_that_cannot_be_snapshotted_is_left_out_and_said(of, code, severity):
    draft = plan(facts(disk(), disk("vdb", **of)))
    assert codes(draft) == [(code, severity)]
    assert told(draft)[0].startswith("disk.overlay /images/vda.clean")
    assert not [step for step in told(draft) if "vdb" in step]


def test_a_disk_that_must_be_snapshotted_refuses_the_whole():
    draft = plan(facts(disk(), disk("vdb", readonly=True)), settings=Settings(disks={"vdb": "require"}))
    assert codes(draft) == [("snapshot.unsuited", "block")]


def test_a_disk_whose_policy_is_skip_is_not_looked_at():
    draft = plan(facts(disk(), disk("vdb", readonly=True)), settings=Settings(disks={"vdb": "skip"}))
    assert codes(draft) == []


def test_an_image_of_another_guest_refuses_the_whole():
    assert codes(plan(facts(others=frozenset({"/images/vda.qcow2"})))) == [("snapshot.shared", "block")]


def test_an_image_that_a_clone_lies_over_refuses_the_whole():
    draft = plan(facts(images=(image("/images/clone.qcow2", "/images/vda.qcow2"),)))
    assert codes(draft) == [("snapshot.shared", "block")]


def test_internal_snapshots_are_not_mixed_with_external_ones():
    inside = image("/images/vda.qcow2", snapshots=("x",))
    assert codes(plan(facts(images=(inside,)))) == [("snapshot.mixed", "block")]
    assert codes(plan(facts(), settings=Settings(enabled=True))) == [("snapshot.mixed", "block")]


def test_a_guest_without_any_disk_for_it_is_refused():
    assert codes(plan(facts(disk(device="cdrom")))) == [("snapshot.nothing", "block")]


def test_a_chain_that_is_too_long_is_refused_with_prune_as_the_advice():
    files = [f"/images/{number}.qcow2" for number in range(100)]
    images = tuple(image(path, below) for path, below in zip(files, [*files[1:], ""], strict=True))
    draft = plan(facts(disk(source=files[0]), images=images))
    assert codes(draft) == [("snapshot.chain", "block")]
    assert draft.findings[0].hint == "Delete old snapshots: vfioctl snapshot prune win11 --keep 10"
    (found,) = plan(facts(disk(source=files[0]), images=images, state="running")).findings
    assert found.hint.startswith("Shut it down, then delete old snapshots: vfioctl")


def test_what_lies_below_without_a_stated_format_is_refused():
    guessed = image("/images/vda.qcow2", "/images/base", backing_format="")
    draft = plan(facts(images=(guessed, image("/images/base"))))
    assert codes(draft) == [("snapshot.backing", "block")]


# where no file of the guest is seen: by a member of the group, and on another node


def far(*disks, **more):
    return facts(*disks, state="running", files_seen=False, **{"images": (), **more})


def test_libvirt_alone_makes_the_images_of_a_running_guest_whose_files_are_out_of_reach():
    draft = plan(far(disk(), disk("vdb")))
    assert [step.kind for step in draft.steps.made] == ["disk.live"]
    assert "reuse" not in draft.steps.made[0].params
    assert "<description>Made by vfioctl.</description>" in written(draft, "disk.live")


@pytest.mark.parametrize(("more", "code"), [
    ({"nvram": NVRAM, "uefi": True}, "snapshot.out_of_reach"),
    ({"others": frozenset({"/images/vda.qcow2"})}, "snapshot.shared"),
    ({"libvirt": (GuestSnapshot(UUID, "inside", 1, "shutoff", internal=True, external=False, current=True),)},
     "snapshot.mixed"),
])  # fmt: skip
def test_what_libvirt_says_is_enough_to_refuse(more, code):
    draft = plan(far(**more))
    assert ((code, "block") in codes(draft), draft.steps.made) == (True, ())


def test_a_chain_is_as_long_as_libvirt_says():
    long = disk(backing=tuple(f"/images/{number}" for number in range(99)))
    assert ("snapshot.chain", "block") in codes(plan(far(long)))
