"""The plans of `snapshot delete` and `prune`: what takes in what, what goes and what stays."""

from __future__ import annotations

import pytest
from snapshot_builders import NVRAM, TPM, UUID, codes, disk, facts, image, known, record, told
from vfioctl_snapshot.delete import delete, outdated
from vfioctl_snapshot.record import Part, place

BASE, ONE, TWO = "/images/vda.qcow2", "/images/vda.one.qcow2", "/images/vda.two.qcow2"
FIRST = record("one", Part("vda", BASE, "qcow2", ONE))
SECOND = record("two", Part("vda", ONE, "qcow2", TWO))


def guest(*more, source: str = TWO, records=(FIRST, SECOND), **wishes):
    images = (image(BASE, used=5 << 20), image(ONE, BASE, used=3 << 20), image(TWO, ONE), *more)
    return facts(disk(source=source), images=images, records=records, **wishes)


def gone(name: str) -> str:
    return f"file.delete {place(UUID, name)}"


def test_one_in_the_middle_goes_into_what_lies_over_it():
    rebase = f"disk.rebase {TWO}: {ONE} -> {BASE}"
    assert told(delete(guest(), (SECOND,))) == [rebase, f"file.delete {ONE}", gone("two")]


def test_a_chain_that_libvirt_has_written_down_is_taken_out_first():
    found = guest()
    chained = guest(xml=found.xml.replace("/old", ONE))
    draft = delete(chained, (SECOND,))
    assert told(draft) == ["domain.define", *told(delete(found, (SECOND,)))]
    new = next(one.data for one in draft.contents if one.name == draft.steps.made[0].params["blob"])
    assert b"backingStore" not in new
    assert TWO.encode() in new


def chained(name: str, image: str, below: str):
    """What libvirt keeps of a snapshot: what the guest wrote to, and that it lay over another image."""
    chain = f"<backingStore><source file='{below}'/></backingStore>"
    disks = f"<domain><devices><disk><source file='{image}'/>{chain}</disk></devices></domain>"
    return known(name, f"<domainsnapshot><name>{name}</name>{disks}</domainsnapshot>")


def test_what_libvirt_keeps_of_another_one_does_not_name_what_goes():
    third = record("three", Part("vda", TWO, "qcow2", "/images/vda.three.qcow2"))
    found = guest(image("/images/vda.three.qcow2", TWO), source="/images/vda.three.qcow2",
                  records=(FIRST, SECOND, third), libvirt=(chained("three", TWO, ONE), chained("two", ONE, BASE)))
    draft = delete(found, (SECOND,))
    follow, = (step for step in draft.steps.made if step.kind == "snapshot.follow")
    assert (follow.params["name"], follow.params["images"], follow.params["gone"]) == ("three", {}, [ONE])
    assert follow.best_effort
    kinds = [step.kind for step in draft.steps.made]
    assert kinds.index("disk.rebase") < kinds.index("snapshot.follow") < kinds.index("file.delete")


def test_the_oldest_leaves_nothing_below():
    rebase = f"disk.rebase {ONE}: {BASE} -> nothing"
    assert told(delete(guest(), (FIRST,))) == [rebase, f"file.delete {BASE}", gone("one")]


def test_two_that_lie_over_each_other_go_in_one_step():
    assert told(delete(guest(), (FIRST, SECOND))) == [
        f"disk.rebase {TWO}: {ONE} -> nothing", f"file.delete {BASE}", gone("one"), f"file.delete {ONE}", gone("two"),
    ]  # fmt: skip


def test_several_images_over_one_each_take_in_what_they_need():
    fork = image("/images/vda.after-one.qcow2", BASE)
    found = guest(fork, source=fork.path, records=(FIRST, SECOND, record("kept", Part("vda", TWO, "qcow2"))))
    assert told(delete(found, (FIRST,)))[:2] == [
        f"disk.rebase {fork.path}: {BASE} -> nothing", f"disk.rebase {ONE}: {BASE} -> nothing",
    ]  # fmt: skip


def test_a_state_that_nothing_lies_over_only_goes():
    kept = record("kept", Part("vda", TWO, "qcow2"))
    found = guest(image("/images/x.qcow2", BASE), source="/images/x.qcow2", records=(FIRST, SECOND, kept))
    assert told(delete(found, (kept,))) == [f"file.delete {TWO}", gone("kept")]


def test_an_image_that_another_snapshot_holds_stays():
    twin = record("twin", Part("vda", BASE, "qcow2"))
    assert told(delete(guest(records=(FIRST, SECOND, twin)), (FIRST,))) == [gone("one")]


def test_an_image_that_the_guest_writes_to_stays_and_that_is_said():
    draft = delete(guest(source=ONE, records=(SECOND,)), (SECOND,))
    assert told(draft) == [gone("two")]
    assert any("stays, since it is in use" in line for line in draft.lost)


def test_a_part_that_is_gone_keeps_nobody_from_deleting_the_rest():
    lost = record("lost", Part("vda", "/images/gone.qcow2", "qcow2"))
    draft = delete(guest(records=(FIRST, SECOND, lost)), (lost,))
    assert told(draft) == [gone("lost")]
    assert "  vda: /images/gone.qcow2 is not there any more" in draft.lost


def test_the_copy_of_the_nvram_goes_but_never_the_one_in_use():
    with_copy = record("one", Part("vda", BASE, "qcow2", ONE), nvram=f"{NVRAM}.one")
    draft = delete(guest(records=(with_copy,), source=ONE, nvram=NVRAM), (with_copy,))
    assert f"file.delete {NVRAM}.one" in told(draft)
    in_use = record("one", Part("vda", BASE, "qcow2", ONE), nvram=NVRAM)
    assert f"file.delete {NVRAM}" not in told(delete(guest(records=(in_use,), source=ONE, nvram=NVRAM), (in_use,)))


def test_the_copy_of_the_tpm_goes_and_never_the_state_itself():
    sealed = record("one", Part("vda", BASE, "qcow2", ONE), tpm=f"{TPM}.one")
    draft = delete(guest(records=(sealed,), source=ONE, tpm=TPM, vtpm="emulator"), (sealed,))
    assert [step for step in told(draft) if TPM in step] == [f"file.delete {TPM}.one"]


def test_what_is_lost_is_named_with_its_size():
    assert [line.strip() for line in delete(guest(), (SECOND,)).lost] == [
        "Snapshot 'two' of guest win11 will be deleted; nobody can go back to it then:", f"vda: {ONE}, 3.0 MiB",
    ]  # fmt: skip


def test_what_a_clone_lies_over_is_not_deleted():
    draft = delete(guest(image("/images/clone.qcow2", BASE)), (FIRST,))
    assert codes(draft) == [("snapshot.needed", "block")]
    assert "/images/clone.qcow2" in draft.findings[0].message
    assert told(draft) == []


def test_what_another_guest_names_is_not_deleted():
    assert codes(delete(guest(others=frozenset({BASE})), (FIRST,))) == [("snapshot.needed", "block")]


def test_what_is_taken_in_must_fit():
    draft = delete(guest(free={"/images": 1 << 20}), (FIRST,))
    assert codes(draft) == [("snapshot.no_room", "block")]


@pytest.mark.parametrize("state", ["running", "paused"])
def test_what_a_running_guest_writes_to_takes_in_what_lies_right_below_it(state):
    draft = delete(guest(state=state), (SECOND,))
    assert codes(draft) == []
    assert told(draft) == [f"disk.pull {TWO}: {ONE} -> {BASE}", f"file.delete {ONE}", gone("two")]
    assert {"uri": "test:///x", "target": "vda"}.items() <= draft.steps.made[0].params.items()


def test_all_of_a_running_guest_go_in_one_job():
    assert told(delete(guest(state="running"), (FIRST, SECOND)))[0] == f"disk.pull {TWO}: {ONE} -> nothing"


def test_what_lies_over_it_on_another_branch_is_open_to_nobody():
    fork = image("/images/vda.after-one.qcow2", BASE)
    found = guest(fork, source=fork.path, records=(FIRST, SECOND, record("kept", Part("vda", TWO, "qcow2"))),
                  state="running")  # fmt: skip
    assert told(delete(found, (FIRST,)))[:2] == [
        f"disk.pull {fork.path}: {BASE} -> nothing", f"disk.rebase {ONE}: {BASE} -> nothing",
    ]  # fmt: skip


def test_a_running_guest_whose_configuration_has_another_disk_is_refused():
    draft = delete(guest(state="running", strayed=frozenset({"vda"})), (SECOND,))
    assert codes(draft) == [("snapshot.strayed", "block")]


def test_a_saved_guest_is_refused():
    assert codes(delete(guest(saved=True), (FIRST,))) == [("snapshot.saved", "block")]


def test_the_oldest_are_outdated():
    assert [one.name for one in outdated((FIRST, SECOND), 1)] == ["one"]
    assert outdated((FIRST, SECOND), 2) == outdated((FIRST,), 5) == ()
    assert len(outdated((FIRST, SECOND), 0)) == 2
