"""The step kinds about volumes on a real libvirtd: what they make, who keeps them from it, and what undo leaves."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from disk_images import MISSING, content, create, fill, opened
from libvirt_machine import DISK, SCREEN
from pool_store import Store

from vfioctl.errors import StepFailed
from vfioctl.txn.kind import kind
from vfioctl.txn.step import State, Step

libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")
SIZE = 8 << 20


def blank(store: Store, name: str = "a.qcow2", **params: Any) -> Step:
    wanted = {"format": "qcow2", "size": SIZE, "marked": True, **params}
    return store.volume("volume.create", name, **wanted)


def put(store: Store, name: str = "base.qcow2", **more: Any) -> str:
    """A volume that somebody has put there, with content."""
    path = create(f"{store.path}/{name}", **more)
    fill(path, 7, 1)
    store.handle.refresh(0)
    return path


def guest(store: Store, path: str, name: str = "owner") -> Any:
    store.lab.define(name, devices=DISK.format(path=path, target="vda") + SCREEN)
    return store.connection.lookupByName(name)


def described(store: Store, name: str) -> dict[str, Any]:
    found = store.handle.storageVolLookupByName(name)
    from vfioctl.virt.volumes import described as said

    return vars(said("", found))


# volume.create


@pytest.mark.parametrize("marked", [True, False], ids=["here", "without a mark"])
@pytest.mark.parametrize("form", ["qcow2", "raw"])
def test_a_blank_volume_is_made_and_removed_again(store: Store, form: str, *, marked: bool) -> None:
    step = blank(store, format=form, marked=marked)
    assert store.codes(step) == []
    assert store.state(step) is State.BEFORE
    assert store.do(step) is None
    assert store.state(step) is State.AFTER
    made = described(store, "a.qcow2")
    assert (made["format"], made["capacity"]) == (form, SIZE)
    assert made["allocation"] < SIZE
    store.undo(step)
    assert store.state(step) is State.BEFORE
    assert os.listdir(store.path) == []


@pytest.mark.parametrize(("form", "preallocation"), [("raw", "full"), ("qcow2", "metadata"), ("qcow2", "full")])
def test_room_is_taken_beforehand(store: Store, form: str, preallocation: str) -> None:
    sparse = blank(store, "b", format=form)
    store.do(sparse)
    step = blank(store, format=form, preallocation=preallocation)
    store.do(step)
    assert described(store, "a.qcow2")["allocation"] > described(store, "b")["allocation"]
    if preallocation == "full":
        assert described(store, "a.qcow2")["allocation"] >= SIZE


def test_a_volume_above_another_one_sees_what_is_in_it(store: Store) -> None:
    base = put(store)
    step = blank(store, backing=base, backing_format="qcow2", size=2 * SIZE)
    store.do(step)
    assert described(store, "a.qcow2")["backing"] == base
    info = subprocess.run(["qemu-img", "info", f"{store.path}/a.qcow2"], check=True, capture_output=True, text=True)
    assert "backing file format: qcow2" in info.stdout
    store.undo(step)
    assert os.listdir(store.path) == ["base.qcow2"]


@pytest.mark.parametrize(("params", "code"), [
    ({"size": SIZE // 2}, "disk.too_small"), ({"backing_format": "raw"}, "volume.format"),
    ({"backing": "/srv/elsewhere.qcow2"}, "volume.outside"),
])  # fmt: skip
def test_what_cannot_lie_above_it_is_refused(store: Store, params: dict[str, Any], code: str) -> None:
    step = blank(store, **{"backing": put(store), "backing_format": "qcow2", **params})
    assert store.codes(step) == [code]
    assert store.refused(step) == code


def test_a_raw_file_that_looks_like_qcow2_is_taken_for_what_it_looks_like(store: Store) -> None:
    """libvirt looks into it: to lie above it as raw would let the guest choose what lies below."""
    path = put(store, "base.img")
    step = blank(store, backing=path, backing_format="raw")
    assert store.refused(step) == "volume.format"


@pytest.mark.parametrize("known", [True, False], ids=["a volume", "a file that libvirt does not know"])
def test_what_has_the_name_is_never_taken(store: Store, *, known: bool) -> None:
    step = blank(store)
    Path(store.path, "a.qcow2").write_text("precious")
    if known:
        store.handle.refresh(0)
    assert store.refused(step) == "volume.exists"
    with pytest.raises(StepFailed):
        kind("volume.create").apply(step, store.machine)
    assert Path(store.path, "a.qcow2").read_text() == "precious"


def test_a_volume_of_that_name_that_appears_after_the_crash_stays(store: Store) -> None:
    """Of the same size and format: the mark tells them apart."""
    step = blank(store)
    create(f"{store.path}/a.qcow2")
    store.handle.refresh(0)
    assert store.state(step) is State.FOREIGN
    assert "was made by somebody else" in kind(step.kind).foreign(step, store.machine)


@pytest.mark.parametrize("how", ["was written to", "is open"])
def test_a_volume_that_somebody_uses_stays(store: Store, how: str) -> None:
    step = blank(store)
    store.do(step)
    if how == "is open":
        user = opened(f"{store.path}/a.qcow2")
        assert store.state(step) is State.FOREIGN
        user.communicate("quit\n")
        assert store.state(step) is State.AFTER
    else:
        fill(f"{store.path}/a.qcow2", 9, 1)
        assert store.state(step) is State.FOREIGN


@pytest.mark.parametrize("why", ["another size", "an older one", "a guest has it"])
def test_without_a_mark_only_what_is_as_planned_is_taken_away(store: Store, why: str) -> None:
    step = blank(store, marked=False)
    path = f"{store.path}/a.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, str(SIZE // 2 if "size" in why else SIZE)],
                   check=True)  # fmt: skip
    if why == "an older one":
        os.utime(path, (1e9, 1e9))
    store.handle.refresh(0)
    if why == "a guest has it":
        guest(store, path)
    assert store.state(step) is State.FOREIGN


def test_a_volume_that_cannot_be_marked_is_gone_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where libvirt mounts the pool, and this process does not see that."""
    step = blank(store)

    def unseen(path: str, *_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    monkeypatch.setattr(os, "setxattr", unseen)
    with pytest.raises(StepFailed) as caught:
        kind("volume.create").apply(step, store.machine)
    assert caught.value.code == "volume.unmarked"
    assert os.listdir(store.path) == []


def test_a_pool_that_is_not_active_is_named(store: Store) -> None:
    store.handle.destroy()
    assert store.codes(blank(store)) == ["pool.inactive"]


# volume.clone


def copy(store: Store, **params: Any) -> Step:
    wanted = {"format": "qcow2", "size": SIZE, "source_pool": store.uuid, "source": "base.qcow2", "marked": True}
    return store.volume("volume.clone", "b.qcow2", **{**wanted, **params})


@pytest.mark.parametrize("form", ["qcow2", "raw"])
def test_a_copy_has_every_byte_of_a_chain_and_nothing_below(store: Store, form: str) -> None:
    base = put(store)
    create(f"{store.path}/top.qcow2", backing=base)
    fill(f"{store.path}/top.qcow2", 9, 2)
    store.handle.refresh(0)
    step = copy(store, source="top.qcow2", format=form)
    assert store.state(step) is State.BEFORE
    store.do(step)
    assert store.state(step) is State.AFTER
    assert content(f"{store.path}/b.qcow2", form=form) == content(f"{store.path}/top.qcow2")
    assert described(store, "b.qcow2")["backing"] == ""
    store.undo(step)
    assert sorted(os.listdir(store.path)) == ["base.qcow2", "top.qcow2"]


def test_a_copy_that_is_to_stop_is_removed_when_libvirt_has_ended_it(store: Store) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "raw", f"{store.path}/base.qcow2", "256M"], check=True)
    fill(f"{store.path}/base.qcow2", 7, 1, form="raw")
    store.handle.refresh(0)
    step = copy(store, size=256 << 20, format="raw")
    heard: list[int] = []

    def stop() -> None:
        if heard:
            raise StepFailed("engine.interrupted", "It was asked to stop.")

    machine = store.machine.watched(lambda done, *_: heard.append(done), stop)
    try:
        kind("volume.clone").apply(step, machine)
    except StepFailed:
        assert store.state(step) in (State.BETWEEN, State.AFTER)
    store.undo(step)
    assert os.listdir(store.path) == ["base.qcow2"]


def test_a_source_of_another_size_is_not_copied(store: Store) -> None:
    put(store)
    assert store.codes(copy(store, size=2 * SIZE)) == ["volume.changed"]
    assert store.codes(copy(store, source="gone.qcow2")) == ["volume.unknown"]


# volume.delete


def deletion(store: Store, name: str = "base.qcow2") -> Step:
    seen = described(store, name)
    return store.volume("volume.delete", name, path=seen["path"], size=seen["capacity"], changed=seen["changed"])


def test_a_volume_is_removed_for_good(store: Store) -> None:
    put(store)
    step = deletion(store)
    assert store.codes(step) == []
    assert store.state(step) is State.BEFORE
    store.do(step)
    assert store.state(step) is State.AFTER
    assert os.listdir(store.path) == []


@pytest.mark.parametrize("way", ["path", "symbolic link", "hard link", "snapshot", "saved", "above it"])
def test_a_volume_that_a_guest_comes_to_stays(store: Store, way: str) -> None:
    base = put(store)
    path, elsewhere = base, f"{store.machine.paths.root}/srv/elsewhere.qcow2"
    if way == "symbolic link":
        os.symlink(base, path := elsewhere)
    elif way == "hard link":
        os.link(base, path := elsewhere)
    elif way == "above it":
        path = create(elsewhere, backing=base)
    owner = guest(store, path)
    if way == "snapshot":
        owner.snapshotCreateXML("<domainsnapshot><name>before</name></domainsnapshot>", 0)
        uuid = owner.UUIDString()
        store.lab.define("owner", devices=SCREEN, guest_uuid=uuid)
    elif way == "saved":
        owner.create()
        owner.managedSave(0)
    step = deletion(store)
    try:
        assert store.codes(step) == ["volume.used"]
        assert store.refused(step) == "volume.used"
        assert os.path.exists(base)
    finally:
        _forget(owner)


def _forget(owner: Any) -> None:
    for snapshot in owner.listAllSnapshots():
        snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
    if owner.hasManagedSaveImage():
        owner.managedSaveRemove()


def test_a_volume_that_a_clone_of_nobody_needs_stays(store: Store) -> None:
    base = put(store)
    create(f"{store.path}/top.qcow2", backing=base)
    store.handle.refresh(0)
    with pytest.raises(StepFailed, match="top"):
        kind("volume.delete").guard(deletion(store), store.machine)


def test_a_volume_that_a_program_has_open_stays(store: Store) -> None:
    user = opened(put(store))
    assert store.refused(deletion(store)) == "disk.busy"
    user.communicate("quit\n")


def test_another_volume_of_that_name_stays(store: Store) -> None:
    path = put(store)
    step = deletion(store)
    os.utime(path, (1e9, 1e9))
    assert store.refused(step) == "volume.changed"
    assert store.state(step) is State.FOREIGN


# volume.resize


def resize(store: Store, size: int, **params: Any) -> Step:
    return store.volume("volume.resize", "base.qcow2", former=SIZE, size=size, **params)


@pytest.mark.parametrize("form", ["qcow2", "raw"])
def test_a_volume_grows_and_keeps_every_byte(store: Store, form: str) -> None:
    path = f"{store.path}/base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", form, path, str(SIZE)], check=True)
    fill(path, 7, 1, form=form)
    store.handle.refresh(0)
    inode, before = os.stat(path).st_ino, _first(path, form)
    step = resize(store, 2 * SIZE)
    assert store.state(step) is State.BEFORE
    store.do(step)
    assert store.state(step) is State.AFTER
    assert described(store, "base.qcow2")["capacity"] == 2 * SIZE
    assert os.stat(path).st_ino == inode, "it is grown in place"
    assert _first(path, form) == before


def _first(path: str, form: str) -> bytes:
    """The first bytes that a guest sees, as many as there were."""
    raw = f"{path}.seen"
    subprocess.run(["qemu-img", "convert", "-f", form, "-O", "raw", path, raw], check=True)
    try:
        return Path(raw).read_bytes()[:SIZE]
    finally:
        os.unlink(raw)


def test_a_volume_of_a_guest_that_is_off_locks_it_and_is_cut(store: Store) -> None:
    path = f"{store.path}/base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "raw", path, str(SIZE)], check=True)
    store.handle.refresh(0)
    owner = guest(store, path)
    step = resize(store, SIZE // 2, domains=[owner.UUIDString()])
    assert step.touches == (f"domain:{owner.UUIDString()}",)
    store.do(step)
    assert described(store, "base.qcow2")["capacity"] == SIZE // 2


@pytest.mark.parametrize("state", ["running", "saved"])
def test_a_volume_of_a_guest_that_is_not_off_keeps_its_size(store: Store, state: str) -> None:
    owner = guest(store, put(store))
    owner.create()
    if state == "saved":
        owner.managedSave(0)
    try:
        expected = ("disk.busy", "volume.busy") if state == "running" else ("domain.saved",)
        assert store.refused(resize(store, 2 * SIZE)) in expected
        assert store.refused(resize(store, SIZE // 2)) in expected
    finally:
        _forget(owner)


def test_the_disk_of_a_running_guest_grows_and_is_never_cut(store: Store) -> None:
    owner = guest(store, put(store))
    owner.create()
    about = {"running": owner.UUIDString(), "target": "vda", "domains": [owner.UUIDString()]}
    assert store.refused(resize(store, SIZE // 2, **about)) == "volume.busy"
    step = resize(store, 2 * SIZE, **about)
    store.do(step)
    assert owner.blockInfo("vda")[0] == 2 * SIZE
    assert store.state(step) is State.AFTER


def test_a_size_that_somebody_has_changed_is_left(store: Store) -> None:
    put(store)
    store.handle.storageVolLookupByName("base.qcow2").resize(3 * SIZE)
    step = resize(store, 2 * SIZE)
    assert store.refused(step) == "volume.changed"
    assert store.state(step) is State.FOREIGN


# volume.upload, volume.download


def source_of(store: Store, size: int = SIZE) -> str:
    """A file with a hole before its data, and one after it."""
    path = store.machine.paths.at("srv/source.img")
    subprocess.run(["truncate", "-s", str(size), path], check=True)
    fill(path, 7, 2, form="raw")
    return path


def upload(store: Store, source: str, name: str = "a", **params: Any) -> Step:
    wanted = {"source": "/srv/source.img", "size": os.stat(source).st_size, "marked": True, **params}
    return store.volume("volume.upload", name, **wanted)


def digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_a_volume_is_filled_with_every_byte_and_keeps_the_holes(store: Store) -> None:
    source = source_of(store)
    made = blank(store, "a", format="raw")
    step = upload(store, source, sha256=digest(source))
    store.do(made)
    store.do(step)
    assert digest(f"{store.path}/a") == digest(source)
    assert os.stat(f"{store.path}/a").st_blocks * 512 < SIZE // 2
    assert store.state(step) is State.BETWEEN
    assert store.state(made) is State.AFTER, "the filled volume is still the one that was made"
    store.undo(step)
    store.undo(made)
    assert os.listdir(store.path) == []


def test_a_qcow2_file_fills_a_volume_of_its_size(store: Store) -> None:
    source = create(store.machine.paths.at("srv/source.img"))
    fill(source, 5, 3)
    store.do(blank(store, "a"))
    store.do(upload(store, source))
    assert content(f"{store.path}/a") == content(source)
    assert described(store, "a")["format"] == "qcow2"


def test_a_file_with_another_checksum_leaves_a_volume_that_goes(store: Store) -> None:
    source = source_of(store)
    made = blank(store, "a", format="raw")
    store.do(made)
    with pytest.raises(StepFailed) as caught:
        store.do(upload(store, source, sha256="0" * 64))
    assert caught.value.code == "volume.checksum"
    assert store.state(made) is State.BETWEEN
    store.undo(made)
    assert os.listdir(store.path) == []


@pytest.mark.parametrize("change", ["gone", "longer", "a FIFO"])
def test_a_file_that_was_changed_since_the_plan_is_not_brought(store: Store, change: str) -> None:
    source = source_of(store)
    step = upload(store, source)
    store.do(blank(store, "a", format="raw"))
    if change == "longer":
        os.truncate(source, 2 * SIZE)
    else:
        os.unlink(source)
    if change == "a FIFO":
        os.mkfifo(source)
    assert store.refused(step) == "volume.changed"


def test_an_upload_that_is_to_stop_stops(store: Store) -> None:
    source = store.machine.paths.at("srv/source.img")
    Path(source).write_bytes(os.urandom(1 << 20) * 200)
    made, step = blank(store, "a", format="raw", size=200 << 20), upload(store, source)
    store.do(made)

    def stop() -> None:
        raise StepFailed("engine.interrupted", "It was asked to stop.")

    with pytest.raises(StepFailed):
        kind("volume.upload").apply(step, store.machine.watched(lambda *_: None, stop))
    store.undo(made)
    assert os.listdir(store.path) == []


def download(store: Store, name: str = "base.qcow2") -> Step:
    return store.volume("volume.download", name, path="/srv/copy.qcow2", size=SIZE)


def test_a_file_has_every_byte_of_a_volume_and_goes_again(store: Store) -> None:
    base, path = put(store), store.machine.paths.at("srv/copy.qcow2")
    step = download(store)
    assert store.codes(step) == []
    assert store.state(step) is State.BEFORE
    store.do(step)
    assert store.state(step) is State.AFTER
    assert digest(path) == digest(base)
    store.undo(step)
    assert not os.path.exists(path)


def test_a_file_that_is_there_is_never_replaced(store: Store) -> None:
    put(store)
    path = Path(store.machine.paths.at("srv/copy.qcow2"))
    path.write_text("precious")
    step = download(store)
    assert store.codes(step) == ["file.exists"]
    assert store.refused(step) == "file.exists"
    assert store.state(step) is State.FOREIGN
    assert path.read_text() == "precious"


def test_the_volume_of_a_running_guest_is_not_copied_while_it_changes(store: Store) -> None:
    user = opened(put(store))
    assert store.refused(download(store)) == "disk.busy"
    user.communicate("quit\n")


def test_a_volume_with_holes_becomes_a_file_with_holes(store: Store) -> None:
    path = f"{store.path}/base.qcow2"
    subprocess.run(["truncate", "-s", "64M", path], check=True)
    fill(path, 7, 2, form="raw")
    store.handle.refresh(0)
    store.do(download(store))
    copy = store.machine.paths.at("srv/copy.qcow2")
    assert (os.stat(copy).st_size, digest(copy)) == (64 << 20, digest(path))
    assert os.stat(copy).st_blocks * 512 < 32 << 20
