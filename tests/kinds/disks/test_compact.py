"""The rewriting of a qcow2 image on real images, by bytes, and killed in the middle."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess

import pytest
from access_lists import grant
from disk_images import MISSING, content, create, fill, opened
from step_builders import planned, program

from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.disks import compact
from vfioctl.kinds.files.place import Place
from vfioctl.kinds.libvirt.volume_compact import KIND
from vfioctl.txn.step import State

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")
PATH = "/srv/web.qcow2"
ODD = ("compat=1.1,cluster_size=131072,lazy_refcounts=on,refcount_bits=32", "compat=0.10,cluster_size=4096",
       "compat=1.1,extended_l2=on,cluster_size=128k", "compression_type=zstd")  # fmt: skip


@pytest.fixture
def machine(plain):
    os.mkdir(plain.paths.at("srv"), 0o755)
    return plain


@pytest.fixture
def path(machine):
    return swollen(machine.paths.at(PATH))


def qemu_img(*argv):
    return subprocess.run(["qemu-img", *argv], check=True, capture_output=True, text=True).stdout


def swollen(path, *, options="", **more):
    """An image that takes room which it does not use: what is in sections 1 and 2 was given up, section 3 is zeros."""
    if options:
        qemu_img("create", "-q", "-f", "qcow2", "-o", options, path, "8M")
    else:
        create(path, **more)
    for section, pattern in enumerate((7, 8, 9, 0, 5)):
        fill(path, pattern, section)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "discard 1M 2M", path], check=True, stdout=subprocess.DEVNULL)
    with open(path, "r+b") as file:  # as where a file system or QEMU lets nothing go
        os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    return path


def step_of(machine, path):
    found = os.stat(path)
    params = {"uri": "qemu:///system", "pool": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "name": "web.qcow2",
              "path": PATH, "device": found.st_dev, "inode": found.st_ino}  # fmt: skip
    return planned(machine, "volume.compact", params, deadline=60.0)


def rewritten(machine, path, still=lambda _fd: None):
    """The image after it was written anew, by a step that is given back with what it said."""
    step = step_of(machine, path)
    with Place(path) as there:
        return step, compact.replace(step, machine, there, still)


def info(path):
    said = json.loads(qemu_img("info", "--output=json", path))
    return {key: said.get(key) for key in ("virtual-size", "cluster-size", "format-specific", "backing-filename",
                                           "backing-filename-format")}  # fmt: skip


def used(path):
    return os.stat(path).st_blocks * 512


def only(path):
    return os.listdir(os.path.dirname(path)) == [os.path.basename(path)]


def test_it_takes_less_room_and_a_guest_sees_the_same(machine, path):
    before, seen, inode = used(path), content(path), os.stat(path).st_ino
    step, note = rewritten(machine, path)
    assert note is None
    assert used(path) <= before - (3 << 20)
    assert content(path) == seen
    assert os.stat(path).st_ino != inode
    assert only(path)
    assert KIND.probe(step, machine) is State.AFTER


@pytest.mark.parametrize("options", ODD)
def test_the_options_that_it_was_made_with_stay(machine, options):
    path = swollen(machine.paths.at(PATH), options=options)
    before, seen = info(path), content(path)
    rewritten(machine, path)
    assert (info(path), content(path)) == (before, seen)


@pytest.mark.parametrize("name", ["base.qcow2", "/srv/base.qcow2", "../srv/base.qcow2"])
def test_what_lies_below_it_is_named_as_before_and_stays(machine, name):
    """A zero in it hides what is below: it is no room that comes back, but a mark that must be there."""
    base, path = machine.paths.at("srv/base.qcow2"), machine.paths.at(PATH)
    fill(create(base), 3, 3)
    fill(base, 3, 6)
    swollen(path, backing=base)
    name = machine.paths.at(name) if name.startswith("/") else name
    qemu_img("rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", name, path)
    before, seen, below = info(path), content(path), content(base)
    rewritten(machine, path)
    assert info(path) == before
    assert before["backing-filename"] == name
    assert (content(path), content(base)) == (seen, below)


def test_what_lies_above_it_sees_the_same(machine, path):
    above = create(machine.paths.at("srv/above.qcow2"), backing=path)
    fill(above, 1, 7)
    seen = content(above)
    rewritten(machine, path)
    assert content(above) == seen


def test_owner_permissions_attributes_access_list_and_time_stay(machine, path):
    os.chmod(path, 0o640)
    grant(path, 65534)
    os.setxattr(path, "user.vfioctl.operation", b"somebody")
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
        os.setxattr(path, "trusted.libvirt.security.dac", b"+0:+0")
    os.utime(path, ns=(1_600_000_000_000_000_001, 1_600_000_000_000_000_002))

    def looks():
        found = os.stat(path)
        attributes = {name: os.getxattr(path, name) for name in os.listxattr(path) if name != compact.COMPACTED}
        return found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, attributes

    before = looks()
    rewritten(machine, path)
    assert looks() == before


def test_an_access_list_of_the_directory_is_not_laid_on_it(machine, path):
    grant(os.path.dirname(path), 65534, default=True)
    rewritten(machine, path)
    assert "system.posix_acl_access" not in os.listxattr(path)


def test_one_with_nothing_to_give_stays_as_it_is(machine, path):
    rewritten(machine, path)
    inode = os.stat(path).st_ino
    step, note = rewritten(machine, path)
    assert "takes no less room" in note
    assert os.stat(path).st_ino == inode
    assert only(path)
    assert KIND.probe(step, machine) is State.BEFORE


@pytest.mark.parametrize(("make", "why"), [
    (("snapshot", "-c", "old"), "snapshots inside it, which would be lost: old"),
    (("bitmap", "--add"), "bitmaps of a backup program"),
])  # fmt: skip
def test_what_would_be_lost_is_refused(machine, path, make, why):
    qemu_img(*make, path, *(["b"] if make[0] == "bitmap" else []))
    before = content(path)
    with pytest.raises(StepRefused, match=why) as caught:
        rewritten(machine, path)
    assert caught.value.code == "disk.unsupported"
    assert content(path) == before
    assert only(path)


def test_an_image_above_one_of_an_unstated_format_is_refused(machine, path):
    base = create(machine.paths.at("srv/base.qcow2"))
    qemu_img("rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base, path)
    with open(path, "r+b") as file:  # qemu-img leaves the format out no more
        head = file.read(4096)
        file.seek(head.index(bytes.fromhex("e2792aca")))
        file.write(bytes.fromhex("0badbabe"))
    with pytest.raises(StepRefused) as caught:
        rewritten(machine, path)
    assert caught.value.code == "disk.unstated"


def test_one_that_was_written_differently_does_not_take_its_place(machine, path):
    """As a disk that answers wrong, or a fault of qemu-img's."""
    spoil = "qemu-io -f qcow2 -c 'write -P 99 0 64k' \"$last\" >/dev/null"
    program(machine, "qemu-img", f"""
        for last in "$@"; do :; done
        {real("qemu-img")} "$@" || exit
        if [ "$1" = convert ]; then {spoil}; fi""".replace("qemu-io", real("qemu-io")))  # fmt: skip
    before = os.stat(path)
    with pytest.raises(StepFailed, match="not the same to a guest") as caught:
        rewritten(machine, path)
    assert caught.value.code == "disk.different"
    assert os.stat(path).st_ino == before.st_ino
    assert only(path)


def real(name):
    return subprocess.run(["which", name], check=True, capture_output=True, text=True).stdout.strip()


def test_a_full_disk_leaves_the_image_as_it_was(machine, path):
    program(machine, "qemu-img", f"""
        if [ "$1" = convert ]; then echo 'error while writing: No space left on device' >&2; exit 1; fi
        exec {real("qemu-img")} "$@" """)
    seen = content(path)
    with pytest.raises(StepFailed) as caught:
        rewritten(machine, path)
    assert caught.value.code == "disk.no_room"
    assert content(path) == seen
    assert only(path)


def test_who_comes_at_the_last_moment_keeps_the_image(machine, path):
    inode = os.stat(path).st_ino

    def still(_fd):
        raise StepRefused("volume.busy", "A guest has it.")

    with pytest.raises(StepRefused):
        rewritten(machine, path, still)
    assert os.stat(path).st_ino == inode
    assert only(path)


def test_nobody_can_begin_to_write_to_it_meanwhile(machine, path):
    """A guest that starts fails there, and loses nothing."""
    tried = []

    def still(_fd):
        writer = subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write 0 64k", path], capture_output=True, text=True,
                                check=False)  # fmt: skip
        tried.append(writer.stderr)

    rewritten(machine, path, still)
    assert "lock" in tried[0]
    opened(path).communicate("quit\n")


POINTS = ("_compare", "_must_say", "dress_like", "still", "replaced")


@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_is_killed_leaves_what_its_undo_removes(machine, path, point, monkeypatch):
    seen, step = content(path), step_of(machine, path)
    child = os.fork()
    if child == 0:
        _die_at(point, monkeypatch, machine, path)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert content(path) == seen
    assert KIND.probe(step, machine) is (State.AFTER if point == "replaced" else State.BETWEEN)
    KIND.undo(step, machine)
    assert KIND.probe(step, machine) is (State.AFTER if point == "replaced" else State.BEFORE)
    assert content(path) == seen
    assert only(path)


def _die_at(point, monkeypatch, machine, path):
    """In the child: the process ends at this point, as by SIGKILL. It never returns."""

    def die(*_arguments):
        os.kill(os.getpid(), signal.SIGKILL)

    if point in ("_compare", "_must_say"):
        monkeypatch.setattr(compact.Rewriting, point, die)
    if point == "dress_like":
        monkeypatch.setattr(compact, point, die)
    rewritten(machine, path, die if point == "still" else lambda _fd: None)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("change", "code"), [
    ("another file", "volume.changed"), ("a second name", "disk.unsupported"), ("gone", "volume.changed"),
    ("a link", "volume.format"),
])  # fmt: skip
def test_a_file_that_is_not_as_planned_is_refused(machine, path, change, code):
    step = step_of(machine, path)
    if change == "a second name":
        os.link(path, f"{path}.2")
    else:
        os.rename(path, f"{path}.old")
    if change == "another file":
        create(path)
    if change == "a link":
        os.symlink(f"{path}.old", path)
    with pytest.raises(StepRefused) as caught:
        KIND.guard(step, machine)
    assert caught.value.code == code


def test_another_file_of_its_name_is_somebody_elses(machine, path):
    step = step_of(machine, path)
    os.rename(path, f"{path}.old")
    create(path)
    assert KIND.probe(step, machine) is State.FOREIGN
    assert "somebody else" in KIND.foreign(step, machine)
    KIND.undo(step, machine)
    assert os.path.exists(path)


def test_a_file_that_cannot_be_written_beside_it_is_said(machine, path, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(compact, "dress_like", full)
    with pytest.raises(StepFailed, match="Disk quota exceeded") as caught:
        KIND.apply(step_of(machine, path), machine)
    assert caught.value.code == "file.write_failed"
    assert only(path)
