"""One baseline a resource; the last holder puts it back; a device has one holder."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from txn_builders import OTHER, UUID, step

from vfioctl import files, kinds
from vfioctl.errors import Refused, VfioctlError
from vfioctl.kinds.libvirt.domain_tune import CPUS, MEMORY
from vfioctl.paths import Paths
from vfioctl.txn.resources import PASSING, Ledger, file_name, resource_locks

UNIT = step("u", kind="unit.stop", resource="unit:x.service", params={"unit": "x.service"}, baseline={"active": True})
DEVICE = step("d", kind="driver.bind", resource="pci:0000:01:00.0", params={"driver": "vfio-pci"})


@pytest.fixture
def ledger(tmp_path):
    return Ledger(Paths(str(tmp_path)))


def test_the_first_guest_takes_the_baseline_and_the_second_shares_it(ledger):
    ledger.join(UNIT, UUID, "one")
    later = step("u", kind="unit.stop", resource="unit:x.service", params=UNIT.params, baseline={"active": False})
    ledger.join(later, OTHER, "two")
    assert ledger.entry("unit.stop", "unit:x.service").baseline == {"active": True}
    assert ledger.others(UNIT, UUID) == ("two",)


def test_the_last_holder_removes_the_entry(ledger):
    ledger.join(UNIT, UUID, "one")
    ledger.join(UNIT, OTHER, "two")
    ledger.leave(UNIT, UUID)
    assert ledger.entries()[0].holders == {OTHER: "two"}
    ledger.leave(UNIT, OTHER)
    assert ledger.entries() == ()


def test_who_is_left_with_a_resource_has_to_put_it_back(ledger):
    ledger.join(UNIT, UUID, "one")
    assert not ledger.is_inherited(UNIT, UUID)
    ledger.join(UNIT, OTHER, "two")
    ledger.leave(UNIT, UUID)
    assert ledger.is_inherited(UNIT, OTHER)
    ledger.join(UNIT, UUID, "one")
    ledger.leave(UNIT, OTHER)
    assert ledger.is_inherited(UNIT, UUID)
    assert not ledger.is_inherited(UNIT, OTHER)


def test_joining_twice_keeps_one_hold(ledger):
    ledger.join(UNIT, UUID, "one")
    ledger.join(UNIT, UUID, "one")
    assert ledger.entries()[0].holders == {UUID: "one"}


def test_a_device_is_held_by_one_guest_and_the_refusal_names_it(ledger):
    ledger.join(DEVICE, UUID, "one")
    with pytest.raises(Refused, match="is held by one") as caught:
        ledger.join(DEVICE, OTHER, "two")
    assert caught.value.code == "resource.conflict"


def test_conflicting_wishes_for_a_shared_resource_are_refused(ledger):
    ledger.join(step("a"), UUID, "one")
    other = step("a", params={"path": "/sys/a", "value": "2"})
    assert ledger.conflict(other, OTHER).holders == {UUID: "one"}
    assert ledger.conflict(step("a"), OTHER) is None


def test_of_several_resources_none_is_held_when_one_is_in_the_way(ledger):
    ledger.join(DEVICE, OTHER, "two")
    with pytest.raises(Refused, match=r"pci:0000:01:00\.0 is held by two"):
        ledger.join_all((UNIT, DEVICE), UUID, "one")
    assert not ledger.is_held(UNIT, UUID)


def test_what_is_in_the_way_is_said_in_the_order_of_the_steps_and_looked_for_once(ledger, monkeypatch):
    steps = [step(f"d{number}", kind="driver.bind", resource=f"pci:{number}", params={}) for number in (3, 1, 2)]
    ledger.join_all(steps, OTHER, "two")
    listed = []
    monkeypatch.setattr(os, "listdir", lambda path, listdir=os.listdir: listed.append(path) or listdir(path))
    assert list(ledger.conflicts(steps, UUID)) == ["pci:3", "pci:1", "pci:2"]
    assert len(listed) == 1


def test_two_kinds_of_change_of_one_resource_contradict_each_other(ledger):
    ledger.join(UNIT, UUID, "one")
    start = step("u", kind="unit.start", resource="unit:x.service", params=UNIT.params)
    assert ledger.conflict(start, OTHER).holders == {UUID: "one"}
    assert ledger.conflict(start, UUID) is None


def test_leaving_what_one_does_not_hold_changes_nothing(ledger):
    ledger.join(UNIT, UUID, "one")
    ledger.leave(UNIT, OTHER)
    assert ledger.entries()[0].holders == {UUID: "one"}


def test_any_resource_name_is_one_file_and_two_names_are_two():
    names = ["pci:0000:01:00.0", "sysfs:/sys/a/b", "sysfs:/sys/a_b", "unit:ünï.service", "x" * 500]
    files = {file_name(name) for name in names}
    assert len(files) == len(names)
    assert all("/" not in name and len(name.encode()) < 200 for name in files)


@pytest.mark.parametrize("path", ["/srv/" + "long/" * 40, "/srv/Виртуальные машины бухгалтерии.qcow2"])
def test_a_conflict_is_seen_whatever_the_length_of_the_name(ledger, path):
    resource = f"file:{path}"
    written, copied = (step("f", kind=kind, resource=resource) for kind in ("file.write", "file.copy"))
    ledger.join(written, UUID, "one")
    with pytest.raises(Refused, match="is held by one"):
        ledger.join(copied, OTHER, "two")
    assert [entry.kind for entry in ledger.entries(resource)] == ["file.write"]
    ledger.leave(written, UUID)
    assert ledger.entries(resource) == ()


def test_locks_exclude_each_other_and_name_the_process(tmp_path):
    paths = Paths(str(tmp_path))
    with (
        resource_locks(paths, ("b", "a"), deadline=0),
        pytest.raises(VfioctlError, match="process") as caught,
        resource_locks(paths, ("a",), deadline=0),
    ):
        pass
    assert caught.value.code == "lock.busy"
    with resource_locks(paths, ("a", "b"), deadline=0) as fds:
        assert len(fds) == 2


def test_what_there_may_be_any_number_of_leaves_no_lock_files():
    """What a kind changes is a part of this host, of which there are a few, or its name begins with one of PASSING."""
    lasting = {"framebuffer:", "module:", "pci:", "sysfs:", "unit:", "vtconsole:"}
    texts = [path.read_text() for path in Path(kinds.__file__).parent.rglob("*.py")]
    named = {name for text in texts for name in re.findall(r'return f"([a-z]+:)\{', text)}
    assert named | {f"{CPUS}:", f"{MEMORY}:"} == {*PASSING} | lasting


def test_several_locks_share_one_deadline(tmp_path):
    paths = Paths(str(tmp_path))
    lock = files.Lock(os.path.join(paths.locks, "b.lock"))
    other = files.Lock(os.path.join(paths.locks, "a.lock"))
    began = time.monotonic()
    timer = threading.Timer(0.6, other.release)
    timer.start()
    with lock, other, ExitStack() as stack, pytest.raises(VfioctlError, match="is worked on"):
        stack.enter_context(resource_locks(paths, ("a", "b"), deadline=1.0))
    timer.join()
    assert 1.0 <= time.monotonic() - began < 1.4


DAMAGED = (
    b"", b"{", b"[]", b"5", b'""', b"{}", b"\0" * 50, b"\xff", b"[" * 50_000, b'{"moon": 1}',
    b'{"resource": "r", "kind": "k", "wish": [], "baseline": {}, "holders": {}}',
    b'{"resource": "r", "kind": "k", "wish": {}, "baseline": null, "holders": {}}',
    b'{"resource": "r", "kind": "k", "wish": {}, "baseline": {}, "holders": {"../x": "one"}}',
    b'{"resource": "r", "kind": "k", "wish": {}, "baseline": {}, "holders": {"u": 1}}',
    b'{"resource": 1, "kind": "k", "wish": {}, "baseline": {}, "holders": {}}',
)  # fmt: skip


@pytest.mark.parametrize("data", DAMAGED, ids=lambda data: repr(data[:40]))
def test_an_entry_that_cannot_be_read_refuses_in_words_and_hides_no_other(ledger, data):
    ledger.join(UNIT, UUID, "one")
    ledger.join(DEVICE, UUID, "one")
    path = ledger._path(DEVICE.kind, DEVICE.resource)
    with open(path, "wb") as file:
        file.write(data)
    for ask in (lambda: ledger.conflict(DEVICE, OTHER), lambda: ledger.entry(DEVICE.kind, DEVICE.resource)):
        with pytest.raises(Refused, match="rm -- ") as caught:
            ask()
        assert caught.value.code == "ledger.corrupt"
    found, (wrong,) = ledger.readable()
    assert ([entry.resource for entry in found], path in wrong.message) == (["unit:x.service"], True)
    assert ledger.conflict(UNIT, OTHER) is None


def test_a_pipe_in_place_of_an_entry_is_not_waited_for(ledger):
    ledger.join(UNIT, UUID, "one")
    path = ledger._path(UNIT.kind, UNIT.resource)
    os.unlink(path)
    os.mkfifo(path)
    with pytest.raises(Refused, match="FIFO"):
        ledger.entries()
