"""The step kinds about pools on a real libvirtd: what they make, whose that is, and what their undo leaves."""

from __future__ import annotations

import os
import uuid as uuids
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from libvirt_machine import DISK
from pool_store import Store

from vfioctl.errors import StepRefused, VfioctlError
from vfioctl.kinds.files.marks import mark_of
from vfioctl.txn.kind import kind
from vfioctl.txn.step import State, Step

libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")


@pytest.fixture
def store(lab: Any, tmp_path: Path) -> Iterator[Store]:
    tmp_path.chmod(0o755)
    made = Store(lab, tmp_path)
    yield made
    made.remove()


# pool.define


def test_a_new_pool_is_known_by_its_uuid_and_gone_with_its_directory(store: Store) -> None:
    step = store.define()
    assert store.codes(step) == []
    assert store.state(step) is State.BEFORE
    assert store.do(step) is None
    assert store.state(step) is State.AFTER
    assert os.path.isdir(store.path)
    assert mark_of(store.path) == "3f9ac2d1"
    assert store.do(step) == "libvirt knows of it already"
    assert store.undo(step) is None
    assert store.state(step) is State.BEFORE
    assert not os.path.exists(store.path)
    assert store.names() == set()


def test_its_undo_stops_it_and_keeps_a_directory_that_is_not_empty(store: Store) -> None:
    store.made()
    Path(store.path, "precious").write_text("x")
    said = store.undo(store.define())
    assert said is not None
    assert "stays" in said
    assert Path(store.path, "precious").read_text() == "x"
    assert store.names() == set()


def test_a_pool_in_which_others_have_made_volumes_stays_as_it_is(store: Store) -> None:
    steps = store.define(), store.step("pool.start", made=True), store.step("pool.autostart", on=True, made=True)
    for step in steps:
        store.do(step)
    store.do(store.volume("volume.create", "theirs", format="raw", size=1 << 20, marked=True))
    for step in steps:
        assert store.state(step) is State.FOREIGN
        assert f"The pool {store.name} stays as it is: somebody has written to theirs" in store.foreign(step)
    store.handle.storageVolLookupByName("theirs").delete(0)
    assert {store.state(step) for step in steps} == {State.AFTER}


def test_what_was_in_its_directory_before_keeps_no_new_pool(store: Store) -> None:
    os.makedirs(store.path)
    Path(store.path, "older").write_text("x")
    os.utime(Path(store.path, "older"), (1, 1))
    step = store.define(build=False, fresh=False)
    store.do(step)
    store.do(store.step("pool.start"))
    assert [one.name() for one in store.handle.listAllVolumes()] == ["older"]
    assert store.state(step) is State.AFTER


def test_a_directory_that_was_there_stays(store: Store) -> None:
    os.makedirs(store.path)
    step = store.define(build=False, fresh=False)
    store.do(step)
    store.undo(step)
    assert os.path.isdir(store.path)


def test_a_directory_that_somebody_makes_after_the_plan_is_not_taken(store: Store) -> None:
    step = store.define()
    os.makedirs(store.path)
    assert store.refused(step) == "pool.changed"
    assert store.names() == set()


def test_a_name_that_is_taken_is_refused_and_the_pool_of_that_name_stays(store: Store) -> None:
    step = store.define()
    store.connection.storagePoolDefineXML(store.document(uuid=str(uuids.uuid4()), path="/srv/theirs"), 0)
    assert store.codes(step) == ["pool.exists"]
    assert store.refused(step) == "pool.exists"
    assert store.state(step) is State.BEFORE
    assert store.names() == {store.name}


def test_a_pool_that_somebody_changed_after_us_stays(store: Store) -> None:
    step = store.define()
    store.do(step)
    os.makedirs(f"{store.path}2")
    store.connection.storagePoolDefineXML(store.document(path=f"{store.path}2"), 0)
    assert store.state(step) is State.FOREIGN
    assert "vfioctl pool delete" in kind(step.kind).foreign(step, store.machine)


def test_a_pool_that_cannot_be_built_is_undone(store: Store) -> None:
    step = store.define(blob=store.blob(store.document(path="/proc/nowhere")), fresh=False)
    with pytest.raises(VfioctlError) as caught:
        store.do(step)
    assert caught.value.code.startswith("libvirt.")
    store.undo(step)
    assert store.names() == set()


# pool.start, pool.stop, pool.autostart


def test_a_pool_is_started_and_stopped_again(store: Store) -> None:
    store.do(store.define())
    step = store.step("pool.start")
    assert store.state(step) is State.BEFORE
    store.do(step)
    assert store.state(step) is State.AFTER
    assert store.handle.isActive()
    assert store.do(step) == "it is active already"
    store.undo(step)
    assert not store.handle.isActive()


def test_a_pool_is_stopped_and_started_again(store: Store) -> None:
    handle = store.made()
    step = store.step("pool.stop")
    store.do(step)
    assert store.state(step) is State.AFTER
    assert not handle.isActive()
    store.undo(step)
    assert handle.isActive()


def test_a_pool_that_a_running_guest_needs_is_not_stopped(store: Store) -> None:
    handle = store.made()
    volume = handle.createXML("<volume><name>a.qcow2</name><capacity unit='MiB'>8</capacity>"
                              "<target><format type='qcow2'/></target></volume>", 0)  # fmt: skip
    store.lab.define("user", devices=DISK.format(path=volume.path(), target="vda"))
    step = store.step("pool.stop")
    assert store.codes(step) == []
    store.connection.lookupByName("user").create()
    assert store.codes(step) == ["pool.used"]
    assert store.refused(step) == "pool.used"
    assert handle.isActive()


def test_a_pool_without_a_configuration_is_not_stopped(store: Store) -> None:
    os.makedirs(store.path)
    store.connection.storagePoolCreateXML(store.document(), 0)
    assert store.refused(store.step("pool.stop")) == "pool.transient"


def test_a_pool_starts_with_its_host_and_no_more(store: Store) -> None:
    handle = store.made()
    step = store.step("pool.autostart", on=True)
    assert store.state(step) is State.BEFORE
    store.do(step)
    assert handle.autostart()
    assert store.state(step) is State.AFTER
    store.undo(step)
    assert not handle.autostart()


# pool.delete


def deletion(store: Store, *, autostart: bool = False, directory: bool = True) -> Step:
    blob = store.blob(store.handle.XMLDesc(libvirt.VIR_STORAGE_XML_INACTIVE))
    return store.step("pool.delete", blob=blob, autostart=autostart, directory=directory)


def test_a_pool_is_forgotten_with_its_empty_directory_and_comes_back(store: Store) -> None:
    store.do(store.define())
    store.handle.setAutostart(1)
    step = deletion(store, autostart=True)
    assert store.state(step) is State.BEFORE
    store.do(step)
    assert store.state(step) is State.AFTER
    assert not os.path.exists(store.path)
    store.undo(step)
    assert store.state(step) is State.BEFORE
    assert os.path.isdir(store.path)
    assert store.handle.autostart()


@pytest.mark.parametrize("why", ["it holds a file", "somebody else made it"])
def test_a_directory_stays_when(store: Store, why: str) -> None:
    store.do(store.define())
    if why == "it holds a file":
        Path(store.path, "precious").write_text("x")
    else:
        os.rmdir(store.path)
        os.mkdir(store.path)
    store.do(deletion(store))
    assert os.path.isdir(store.path)
    assert store.names() == set()


def test_an_active_pool_is_not_forgotten(store: Store) -> None:
    store.made()
    assert store.refused(deletion(store)) == "pool.active"


def test_a_pool_that_a_guest_has_a_disk_in_is_not_forgotten(store: Store) -> None:
    store.do(store.define())
    step = deletion(store)
    store.lab.define("owner", devices=DISK.format(path=f"{store.path}/gone.qcow2", target="vda"))
    assert store.refused(step) == "pool.used"


def test_a_pool_that_was_changed_since_the_plan_is_not_forgotten(store: Store) -> None:
    store.do(store.define())
    step = deletion(store)
    store.connection.storagePoolDefineXML(store.document(path=f"{store.path}2"), 0)
    assert store.refused(step) == "pool.changed"
    assert store.state(step) is State.FOREIGN


def test_another_pool_of_that_name_is_not_replaced_by_the_undo(store: Store) -> None:
    store.do(store.define())
    step = deletion(store)
    store.do(step)
    store.connection.storagePoolDefineXML(store.document(uuid=str(uuids.uuid4())), 0)
    assert store.state(step) is State.FOREIGN
    with pytest.raises(StepRefused):
        kind("pool.delete").guard(step, store.machine)


# Pools that have no directory

GROUP = """<pool type='logical'><name>{name}</name><uuid>{uuid}</uuid><source><name>{name}</name>
<format type='lvm2'/></source><target><path>/dev/{name}</path></target></pool>"""


def test_of_a_volume_group_nothing_is_made_or_removed_whatever_the_step_says(store: Store) -> None:
    """libvirt would run vgcreate and vgremove. Neither is there: it would say so."""
    blob = store.blob(GROUP.format(name=store.name, uuid=store.uuid))
    step = store.define(blob=blob, build=True, fresh=True)
    assert store.do(step) is None
    assert store.state(step) is State.AFTER
    assert store.do(store.step("pool.delete", blob=blob, autostart=False, directory=True)) is None
    store.undo(store.step("pool.delete", blob=blob, autostart=False, directory=True))
    assert store.state(step) is State.AFTER
    assert store.undo(step) is None
    assert store.names() == set()
