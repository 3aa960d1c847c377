"""Which snapshot a verb is about, by what somebody typed."""

from __future__ import annotations

import pytest
from snapshot_builders import NOW, disk, facts, image, record
from vfioctl_snapshot.commands.work import Subject
from vfioctl_snapshot.headers import Internal
from vfioctl_snapshot.known import known
from vfioctl_snapshot.record import Part
from vfioctl_snapshot.settings import Settings

from vfioctl.plugin import Refused

BASE, ONE = "/images/vda.qcow2", "/images/vda.one.qcow2"
BOOT = "vfioctl-20261121-101530"


def made(*names: str) -> Subject:
    """A guest with snapshots that were made by a verb under these names."""
    records = tuple(record(name, Part("vda", BASE, "qcow2", ONE)) for name in names)
    return Subject(facts(disk(source=ONE), records=records), Settings(), records)


def holding(*names: str) -> Subject:
    """A guest with these inside its image."""
    inside = image(BASE, snapshots=tuple(Internal(name, NOW, has_memory=False) for name in names))
    found, settings = facts(images=(inside,)), Settings()
    return Subject(found, settings, known(found, settings.name))


def test_the_id_of_a_start_may_be_left_out():
    assert holding(f"{BOOT}-0a0b0c0d").named(BOOT).name == f"{BOOT}-0a0b0c0d"


def test_the_id_may_be_left_out_of_what_going_back_has_kept_inside_an_image():
    kept = "before-revert-20261121-101530"
    assert holding(f"{kept}-0a0b0c0d").named(kept).name == f"{kept}-0a0b0c0d"


@pytest.mark.parametrize(("name", "typed"), [
    ("before-update", "before"), ("daily-1", "daily"), ("daily-20261121", "daily"), ("before-deadbeef", "before"),
])  # fmt: skip
def test_nothing_may_be_left_out_of_a_name_that_somebody_gave(name, typed):
    with pytest.raises(Refused) as refused:
        made(name).named(typed)
    assert refused.value.code == "snapshot.unknown"


@pytest.mark.parametrize(("name", "typed"), [(f"{BOOT}-0a0b0c0d", BOOT.rpartition("-")[0]), (BOOT, BOOT[:16])])
def test_no_more_than_the_id_may_be_left_out(name, typed):
    with pytest.raises(Refused):
        holding(name).named(typed)


def test_an_id_that_two_have_left_out_names_neither():
    with pytest.raises(Refused):
        holding(f"{BOOT}-0a0b0c0d", f"{BOOT}-11111111").named(BOOT)


def test_a_whole_name_goes_before_one_without_its_id():
    assert holding(BOOT, f"{BOOT}-0a0b0c0d").named(BOOT).name == BOOT
