"""Which snapshots a guest has, whoever made them, and which one it went on from."""

from __future__ import annotations

from snapshot_builders import NOW, NVRAM, TPM, disk, facts, image, record, xml
from vfioctl_snapshot.facts import File, current, missing_parts, parent
from vfioctl_snapshot.headers import Internal
from vfioctl_snapshot.known import known, mixed
from vfioctl_snapshot.record import INTERNAL, Part

from vfioctl.plugin import GuestSnapshot

TEMPLATE = "vfioctl-{date}-{time}"
BOOT = "vfioctl-20260101-000000-0a0b0c0d"
BASE, ONE, TWO = "/images/vda.qcow2", "/images/vda.one.qcow2", "/images/vda.two.qcow2"
FIRST = record("one", Part("vda", BASE, "qcow2", ONE))
SECOND = record("two", Part("vda", ONE, "qcow2", TWO), created=NOW + 1)


def holding(*names: str, memory: bool = False):
    """A disk with such internal snapshots."""
    return image(BASE, snapshots=tuple(Internal(name, NOW + number, memory) for number, name in enumerate(names)))


def libvirts(name: str, *, internal: bool = False, state: str = "shutoff") -> GuestSnapshot:
    made = f"<disks><disk name='vda' snapshot='external'><source file='{ONE}'/></disk></disks>"
    document = f"<domainsnapshot><name>{name}</name>{'' if internal else made}{xml(disk())}</domainsnapshot>"
    return GuestSnapshot("u", name, int(NOW), state, internal, not internal, current=True, xml=document)


def names(found) -> list[tuple[str, str, str]]:
    return [(one.name, one.origin, one.method) for one in known(found, TEMPLATE)]


def test_those_of_the_hook_are_known_by_their_names_and_keep_their_nvram():
    copy = f"{NVRAM}.{BOOT}"
    found = facts(images=(holding(BOOT, "mine"),), nvram=NVRAM, files={copy: File(copy, 1, 1)})
    assert names(found) == [(BOOT, "boot", INTERNAL), ("mine", "qemu-img", INTERNAL)]
    assert [one.nvram for one in known(found, TEMPLATE)] == [copy, ""]


def test_those_of_the_hook_keep_the_state_of_their_tpm():
    copy = f"{TPM}.{BOOT}"
    found = facts(images=(holding(BOOT, "mine"),), tpm=TPM, files={copy: File(copy, 1, 1)})
    assert [one.tpm for one in known(found, TEMPLATE)] == [copy, ""]


def test_one_that_lies_in_several_disks_is_one():
    other = image("/images/vdb.qcow2", snapshots=(Internal(BOOT, NOW, has_memory=False),))
    (one,) = known(facts(disk(), disk("vdb"), images=(holding(BOOT), other)), TEMPLATE)
    assert [part.target for part in one.disks] == ["vda", "vdb"]


def test_one_with_memory_says_so():
    (one,) = known(facts(images=(holding("live", memory=True),)), TEMPLATE)
    assert one.memory


def test_what_looks_like_a_snapshot_in_a_raw_disk_is_the_guests_own_data():
    assert names(facts(disk(format="raw"), images=(holding(BOOT),))) == []


def test_ours_hides_libvirts_record_of_it():
    assert names(facts(records=(FIRST,), libvirt=(libvirts("one"),))) == [("one", "create", "external")]


def test_an_external_one_of_libvirts_knows_what_the_guest_wrote_to_then():
    (one,) = known(facts(libvirt=(libvirts("theirs"),)), TEMPLATE)
    assert (one.origin, one.disks, one.is_ours) == ("libvirt", (Part("vda", BASE, "qcow2", ONE),), False)


def test_an_internal_one_of_libvirts_is_found_in_the_images():
    (one,) = known(facts(images=(holding("theirs"),), libvirt=(libvirts("theirs", internal=True),)), TEMPLATE)
    assert (one.origin, one.method, one.disks) == ("libvirt", INTERNAL, (Part("vda", BASE, "qcow2"),))


def test_both_kinds_side_by_side_are_seen():
    assert mixed(known(facts(records=(FIRST,), images=(holding(BOOT),)), TEMPLATE))
    assert not mixed(known(facts(records=(FIRST,)), TEMPLATE))


def test_where_the_guest_went_on_is_told_by_the_chain():
    images = (image(BASE), image(ONE, BASE), image(TWO, ONE))
    found = facts(disk(source=TWO), images=images, records=(FIRST, SECOND))
    assert (current(found), parent(found, SECOND), parent(found, FIRST)) == ("two", "one", "")
    assert current(facts(disk(source="/images/other.qcow2"), records=(FIRST,))) == ""


def test_what_is_gone_is_named():
    lost = record("lost", Part("vdb", "/images/gone.qcow2", "qcow2"), nvram="/nvram/gone")
    assert missing_parts(facts(files={}), lost) == (
        "vdb's image /images/gone.qcow2", "the copy of its NVRAM /nvram/gone",
    )  # fmt: skip
