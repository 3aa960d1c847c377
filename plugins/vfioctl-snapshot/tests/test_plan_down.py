"""The plans of `snapshot delete` of a guest that runs, where something lies between that it has open."""

from __future__ import annotations

import json

import pytest
from snapshot_builders import NVRAM, UUID, codes, disk, facts, image, known, record, told
from vfioctl_snapshot.delete import delete
from vfioctl_snapshot.facts import missing_parts
from vfioctl_snapshot.record import Part, Record, place
from vfioctl_snapshot.refusals import of_parts

BASE, ONE, TWO, THREE = "/images/vda.qcow2", "/images/vda.one.qcow2", "/images/vda.two.qcow2", "/images/vda.three.qcow2"
FIRST = record("one", Part("vda", BASE, "qcow2", ONE))
SECOND = record("two", Part("vda", ONE, "qcow2", TWO))
THIRD = record("three", Part("vda", TWO, "qcow2", THREE))
KEPT_XML = f"""<domainsnapshot><name>two</name><domain><devices><disk><source file='{ONE}'/></disk></devices></domain>
</domainsnapshot>"""


def guest(*more, records=(FIRST, SECOND, THIRD), disks=None, **wishes):
    images = (image(BASE, used=5 << 20), image(ONE, BASE, used=3 << 20), image(TWO, ONE), image(THREE, TWO), *more)
    disks = disks or (disk(source=THREE),)
    return facts(*disks, images=images, records=records, **{"state": "running", **wishes})


def file_of(name: str) -> str:
    return place(UUID, name)


@pytest.mark.parametrize("state", ["running", "paused"])
def test_what_lies_over_the_image_that_goes_is_written_into_it(state):
    assert told(delete(guest(state=state), (FIRST,))) == [
        f"file.write {file_of('one')}", f"disk.commit {TWO}: {ONE} -> {BASE}", f"file.write {file_of('two')}",
        f"file.delete {ONE}", f"file.delete {file_of('one')}",
    ]  # fmt: skip


def test_the_job_is_asked_for_the_disk_and_ends_when_it_stands_still():
    step = delete(guest(), (FIRST,)).steps.made[1]
    assert {"uri": "test:///x", "target": "vda", "to_format": "qcow2", "domain": UUID}.items() <= step.params.items()
    assert step.stall


def test_a_snapshot_says_that_it_goes_before_and_nothing_takes_that_back():
    draft = delete(guest(), (FIRST,))
    said = draft.steps.made[0]
    assert said.params["for_good"]
    assert said.params["replace"]
    (written,) = (one.data for one in draft.contents if one.name == said.params["blob"])
    assert Record.from_json(written.decode()).going
    assert b"going" not in FIRST.to_json()
    assert draft.steps.made[-1].params == {"path": file_of("one"), "blob": said.params["blob"]}


def test_whoever_held_what_was_written_down_names_where_it_is():
    draft = delete(guest(), (FIRST,))
    step = draft.steps.made[2]
    (written,) = (one.data for one in draft.contents if one.name == step.params["blob"])
    assert json.loads(written)["disks"] == [{"target": "vda", "image": BASE, "format": "qcow2", "overlay": TWO}]


def test_what_is_written_into_a_raw_image_is_raw_then():
    raw = record("one", Part("vda", "/images/vda.raw", "raw", ONE))
    images = (image("/images/vda.raw", format="raw"), image(ONE, "/images/vda.raw", backing_format="raw"),
              image(TWO, ONE))  # fmt: skip
    found = facts(disk(source=TWO), images=images, records=(raw, SECOND), state="running")
    draft = delete(found, (raw,))
    assert draft.steps.made[1].params["to_format"] == "raw"
    written = [json.loads(one.data) for one in draft.contents]
    assert [one["disks"][0]["format"] for one in written if one["name"] == "two"] == ["raw"]


def test_libvirt_forgets_it_before_and_its_record_of_another_one_follows():
    lists = (known("one"), known("two", KEPT_XML, parent="one"), known("three"))
    kept = tuple(record(one.name, *one.disks, in_libvirt=True) for one in (FIRST, SECOND, THIRD))
    draft = delete(guest(libvirt=lists, records=kept), (kept[0],))
    assert told(draft)[1:3] == ["snapshot.forget one", f"disk.commit {TWO}: {ONE} -> {BASE}"]
    assert draft.steps.made[1].params["for_good"]
    assert f"snapshot.follow two: {ONE} -> {BASE}" in told(draft)


def test_several_that_lie_over_each_other_go_in_one_job():
    assert told(delete(guest(), (FIRST, SECOND)))[2:5] == [
        f"disk.commit {THREE}: {TWO} -> {BASE}", f"file.write {file_of('three')}", f"file.delete {TWO}",
    ]  # fmt: skip
    assert f"file.delete {ONE}" in told(delete(guest(), (FIRST, SECOND)))


def test_the_newest_goes_with_one_further_down_after_that():
    kept = told(delete(guest(), (FIRST, THIRD)))
    assert kept[2:4] == [f"disk.commit {TWO}: {ONE} -> {BASE}", f"disk.pull {THREE}: {TWO} -> {BASE}"]
    assert {f"file.delete {ONE}", f"file.delete {TWO}"} <= set(kept)


def test_two_apart_from_each_other_go_one_after_the_other_from_below():
    four = "/images/vda.four.qcow2"
    fourth = record("four", Part("vda", THREE, "qcow2", four))
    found = guest(image(four, THREE), records=(FIRST, SECOND, THIRD, fourth), disks=(disk(source=four),))
    steps = told(delete(found, (FIRST, THIRD)))
    assert [step for step in steps if "disk." in step] == [
        f"disk.commit {TWO}: {ONE} -> {BASE}", f"disk.commit {four}: {THREE} -> {TWO}",
    ]  # fmt: skip
    assert [step for step in steps if "/images" in step and "file.delete" in step] == [
        f"file.delete {ONE}", f"file.delete {THREE}",
    ]  # fmt: skip


def test_what_lies_over_it_on_another_branch_leaves_it_before_and_follows_what_is_written_down():
    below, above = image("/images/vda.after-one.qcow2", BASE), image("/images/vda.after-two.qcow2", ONE)
    kept = (record("below", Part("vda", below.path, "qcow2")), record("above", Part("vda", above.path, "qcow2")))
    steps = told(delete(guest(below, above, records=(FIRST, SECOND, THIRD, *kept)), (FIRST,)))
    assert [step for step in steps if "disk." in step] == [
        f"disk.rebase {below.path}: {BASE} -> nothing", f"disk.commit {TWO}: {ONE} -> {BASE}",
        f"disk.rebase {above.path}: {ONE} -> {BASE}",
    ]  # fmt: skip


def test_all_disks_of_it_go_into_their_own():
    second = [f"/images/vdb{end}.qcow2" for end in ("", ".one", ".two", ".three")]
    images = [image(path, lower) for path, lower in zip(second, ["", *second], strict=False)]
    records = tuple(record(one.name, *one.disks, Part("vdb", second[number], "qcow2", second[number + 1]))
                    for number, one in enumerate((FIRST, SECOND, THIRD)))  # fmt: skip
    found = guest(*images, records=records, disks=(disk(source=THREE), disk("vdb", source=second[3])))
    steps = told(delete(found, (records[1],)))
    assert [step for step in steps if "disk.commit" in step] == [
        f"disk.commit {THREE}: {TWO} -> {ONE}", f"disk.commit {second[3]}: {second[2]} -> {second[1]}",
    ]  # fmt: skip


def test_the_copy_of_the_nvram_goes_too():
    with_copy = record("one", *FIRST.disks, nvram=f"{NVRAM}.one")
    assert f"file.delete {NVRAM}.one" in told(delete(guest(records=(with_copy, SECOND, THIRD)), (with_copy,)))


def refused(draft, *words: str) -> bool:
    """By `snapshot.between`, whose sentence has each of `words`; nothing is planned then."""
    assert codes(draft) == [("snapshot.between", "block")]
    assert "virsh shutdown win11" in draft.findings[0].hint
    return all(word in draft.findings[0].message for word in words) and told(draft) == []


def test_a_clone_over_what_would_be_written_down_is_named():
    assert refused(delete(guest(image("/images/clone.qcow2", ONE)), (FIRST,)), "/images/clone.qcow2", ONE)


def test_another_guest_that_has_what_would_be_written_down_is_said():
    assert refused(delete(guest(others=frozenset({ONE})), (FIRST,)), "another guest", ONE)


def test_a_second_disk_over_what_would_be_written_down_is_named():
    twin = image("/images/vdb.qcow2", ONE)
    found = guest(twin, disks=(disk(source=THREE), disk("vdb", source=twin.path)))
    draft = delete(found, (FIRST,))
    assert {code for code, _ in codes(draft)} == {"snapshot.between"}
    assert f"its disk vdb lies over {ONE} as well" in draft.findings[0].message


def test_an_image_that_is_larger_than_what_would_go_into_it_is_left():
    assert refused(delete(guest(image(BASE, size=2 << 30)), (FIRST,)), "larger")


def test_what_is_written_down_must_fit():
    assert codes(delete(guest(free={"/images": 1 << 20}), (FIRST,))) == [("snapshot.no_room", "block")]


def test_of_a_guest_that_is_off_nothing_is_written_down():
    assert f"disk.rebase {ONE}: {BASE} -> nothing" in told(delete(guest(state="off"), (FIRST,)))


def test_one_that_is_half_deleted_is_not_gone_back_to_and_is_deleted_with_what_is_left():
    half = record("one", *FIRST.disks, going=True)
    found = guest(records=(half, SECOND, THIRD))
    assert any("its deletion has begun" in one for one in missing_parts(found, half))
    assert [one.code for one in of_parts(found, half)] == ["snapshot.incomplete"]
    assert f"disk.commit {TWO}: {ONE} -> {BASE}" in told(delete(found, (half,)))
