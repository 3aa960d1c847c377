"""disk.overlay on real images, by bytes."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess

import pytest
from disk_images import MISSING, content, create, fill, opened
from step_builders import OPERATION, planned, program, put

from vfioctl.errors import StepFailed, StepRefused
from vfioctl.host import images
from vfioctl.kinds.disks import made
from vfioctl.kinds.disks.disk_overlay import KIND
from vfioctl.kinds.files import place
from vfioctl.txn.step import State, StepProposal

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")
PATH, BASE = "/srv/win11.s1.qcow2", "/srv/win11.qcow2"
WISH = {"path": PATH, "backing": BASE, "backing_format": "qcow2", "mode": "0600", "owner": os.getuid(),
        "group": os.getgid()}  # fmt: skip


@pytest.fixture
def machine(plain):
    os.mkdir(plain.paths.at("srv"), 0o755)
    fill(create(plain.paths.at(BASE)), 7, 0)
    return plain


def overlay(machine, **more):
    return planned(machine, "disk.overlay", {**WISH, **more})


def do(step, machine):
    KIND.guard(step, machine)
    return KIND.apply(step, machine)


def names(machine):
    return sorted(os.listdir(machine.paths.at("srv")))


def codes(machine, **more):
    proposal = StepProposal("x", "disk.overlay", {**WISH, **more}, "a test")
    return [one.code for one in KIND.check(proposal, machine.host())]


def info(machine):
    argv = ["qemu-img", "info", "--output=json", machine.paths.at(PATH)]
    return json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def test_a_guest_sees_in_it_what_is_below_and_writes_beside_it(machine):
    before = content(machine.paths.at(BASE))
    step = overlay(machine)
    assert codes(machine) == []
    assert KIND.probe(step, machine) is State.BEFORE
    assert do(step, machine) is None
    assert KIND.probe(step, machine) is State.AFTER
    assert content(machine.paths.at(PATH)) == before
    assert stat.S_IMODE(os.stat(machine.paths.at(PATH)).st_mode) == 0o600
    fill(machine.paths.at(PATH), 9, 1)
    assert content(machine.paths.at(BASE)) == before
    assert content(machine.paths.at(PATH)) != before


def test_the_format_of_what_is_below_is_recorded_and_that_of_a_raw_one_never_guessed(machine):
    put(machine.paths.at("/srv/raw"), "QFI\xfb" + "x" * 65532)  # a guest may have written such a header
    do(overlay(machine, backing="/srv/raw", backing_format="raw"), machine)
    assert info(machine)["backing-filename-format"] == "raw"
    assert info(machine)["backing-filename"] == machine.paths.at("/srv/raw")


@pytest.mark.parametrize("mount_point", [False, True], ids=["no directory", "an empty mount point"])
def test_an_overlay_on_a_file_system_that_is_not_mounted_is_not_taken_for_one_that_was_never_made(machine, mount_point):
    step = overlay(machine)
    do(step, machine)
    os.rename(machine.paths.at("srv"), machine.paths.at("disk"))
    if mount_point:
        os.mkdir(machine.paths.at("srv"), 0o755)
    with pytest.raises(StepFailed) as caught:
        KIND.probe(step, machine)
    assert caught.value.code == "file.unmounted"


def test_it_takes_one_program(machine):
    wrapped(machine)
    assert codes(machine) == []
    do(overlay(machine), machine)
    assert [line.split()[0] for line in called(machine)] == ["create"]


def test_what_is_odd_about_the_image_below_it_qemu_says(machine):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", "extended_l2=on", machine.paths.at(BASE), "8M"],
                   check=True)  # fmt: skip
    wrapped(machine)
    do(overlay(machine), machine)
    assert [line.split()[0] for line in called(machine)] == ["info", "info", "create"]
    assert info(machine)["virtual-size"] == 8 << 20


def wrapped(machine):
    """Let qemu-img note down how it was called."""
    real = os.readlink(machine.paths.at("usr/bin/qemu-img"))
    log = put(machine.paths.at("calls"), "")
    program(machine, "qemu-img", f'echo "$@" >> {log}\nexec {real} "$@"')


def called(machine):
    with open(machine.paths.at("calls"), encoding="utf-8") as file:
        return file.read().splitlines()


SHAPES = {
    "version 2": ("qcow2", "compat=0.10"), "version 3": ("qcow2", "compat=1.1"), "large": ("qcow2", "cluster_size=2M"),
    "small": ("qcow2", "cluster_size=512"), "thin": ("qcow2", "refcount_bits=1"), "raw": ("raw", "preallocation=off"),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", ["1M", "100G", "1025", "0"])
def test_the_size_is_what_qemu_says(tmp_path, shape, size):
    (form, option), path = SHAPES[shape], str(tmp_path / "image")
    subprocess.run(["qemu-img", "create", "-q", "-f", form, "-o", option, path, size], check=True)
    argv = ["qemu-img", "info", "--output=json", "-f", form, path]
    said = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    assert images.plain_size(path, form) == said["virtual-size"]


def test_its_undo_removes_it_and_may_run_twice(machine):
    step = overlay(machine)
    do(step, machine)
    assert KIND.undo(step, machine) is None
    assert names(machine) == ["win11.qcow2"]
    assert KIND.probe(step, machine) is State.BEFORE
    assert "not there" in KIND.undo(step, machine)


def test_it_is_made_once(machine):
    step = overlay(machine)
    do(step, machine)
    assert "already" in do(step, machine)


def test_what_a_guest_has_written_since_is_not_taken_away(machine):
    step = overlay(machine)
    do(step, machine)
    fill(machine.paths.at(PATH), 9, 1)
    seen = content(machine.paths.at(PATH))
    assert KIND.probe(step, machine) is State.FOREIGN
    assert "written to since" in KIND.foreign(step, machine)
    assert "not ours" in KIND.undo(step, machine)
    assert content(machine.paths.at(PATH)) == seen


@pytest.mark.parametrize("readonly", [False, True], ids=["by a guest", "below another image"])
def test_what_is_in_use_is_not_taken_away(machine, readonly):
    step = overlay(machine)
    do(step, machine)
    user = opened(machine.paths.at(PATH), readonly=readonly)
    assert KIND.probe(step, machine) is State.FOREIGN
    assert "needed by a guest" in KIND.foreign(step, machine)
    KIND.undo(step, machine)
    assert names(machine) == ["win11.qcow2", "win11.s1.qcow2"]
    user.communicate()
    assert KIND.probe(step, machine) is State.AFTER


def test_nothing_is_made_above_an_image_that_a_guest_writes_to_unless_it_is_to_be_so(machine):
    step = overlay(machine)
    user = opened(machine.paths.at(BASE))
    assert codes(machine) == ["disk.busy"]
    with pytest.raises(StepRefused) as caught:
        KIND.guard(step, machine)
    assert caught.value.code == "disk.busy"
    assert do(overlay(machine, live=True), machine) is None
    user.communicate()


def test_a_base_that_guests_only_read_is_no_hindrance(machine):
    user = opened(machine.paths.at(BASE), readonly=True)
    assert do(overlay(machine), machine) is None
    user.communicate()


def test_it_may_be_larger_but_never_smaller_than_what_is_below(machine):
    assert codes(machine, size=4 << 20) == ["disk.too_small"]
    with pytest.raises(StepRefused, match="too small"):
        KIND.guard(overlay(machine, size=4 << 20), machine)
    do(overlay(machine, size=16 << 20), machine)
    assert info(machine)["virtual-size"] == 16 << 20


def test_a_foreign_file_of_the_name_is_found_refused_and_stays(machine):
    step = overlay(machine)
    put(machine.paths.at(PATH), "precious")
    assert codes(machine) == ["file.exists"]
    assert KIND.probe(step, machine) is State.FOREIGN
    with pytest.raises(StepRefused) as caught:
        KIND.guard(step, machine)
    assert caught.value.code == "file.exists"
    assert "somebody else" in KIND.foreign(step, machine)
    assert "not ours" in KIND.undo(step, machine)
    with open(machine.paths.at(PATH), encoding="utf-8") as file:
        assert file.read() == "precious"


def test_a_file_that_appears_while_we_work_stays(machine, monkeypatch):
    step, link = overlay(machine), os.link

    def late(*given, **more):
        put(machine.paths.at(PATH), "precious")
        link(*given, **more)

    KIND.guard(step, machine)
    monkeypatch.setattr(place.os, "link", late)
    with pytest.raises(StepRefused, match="at this moment"):
        KIND.apply(step, machine)
    assert KIND.probe(step, machine) is State.FOREIGN
    assert names(machine) == ["win11.qcow2", "win11.s1.qcow2"]


@pytest.mark.parametrize(("more", "code"), [
    ({"backing": "/srv/none"}, "file.missing"),
    ({"backing_format": "qed"}, "disk.unreadable"),
    ({"path": "/none/x.qcow2"}, "file.missing"),
], ids=["no base", "another format", "no directory"])  # fmt: skip
def test_what_it_cannot_be_made_from_is_found_and_refused(machine, more, code):
    assert codes(machine, **more) == [code]
    with pytest.raises(StepFailed) as caught:
        KIND.guard(overlay(machine, **more), machine)
    assert caught.value.code == code
    assert names(machine) == ["win11.qcow2"]


def test_internal_and_external_snapshots_are_not_mixed(machine):
    subprocess.run(["qemu-img", "snapshot", "-c", "inner", machine.paths.at(BASE)], check=True)
    assert codes(machine) == ["disk.unsupported"]
    with pytest.raises(StepRefused, match="internal snapshots"):
        KIND.guard(overlay(machine), machine)


def test_a_file_system_without_marks_is_found(machine, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(made.os, "getxattr", refuse)
    assert codes(machine) == ["disk.unmarked"]


def test_too_little_room_is_found_before(machine, monkeypatch):
    monkeypatch.setattr(made, "SLACK", 1 << 60)
    assert codes(machine) == ["disk.no_room"]


class KilledError(BaseException):
    """Nothing handles it, and nothing is tidied up."""


@pytest.mark.parametrize("moment", ["create", "mark", "setxattr", "link", "unlink", "fsync"])
def test_what_a_kill_at_any_moment_leaves_is_known_and_removed_or_finished(machine, monkeypatch, moment):
    step = overlay(machine)
    KIND.guard(step, machine)

    def die(*_, **__):
        raise KilledError

    with monkeypatch.context() as patched:
        target = {"create": made.Making, "mark": made}.get(moment, os)
        patched.setattr(target, {"create": "fill"}.get(moment, moment), die)
        if target is made.Making:
            patched.setattr(type(KIND), "fill", die)
        patched.setattr(made.Place, "remove", lambda self, name: self.status(name) and die())
        with pytest.raises(KilledError):
            KIND.apply(step, machine)
    left = names(machine)
    assert KIND.probe(step, machine) is State.BETWEEN
    KIND.undo(step, machine)
    assert names(machine) == ["win11.qcow2"]
    assert KIND.probe(step, machine) is State.BEFORE
    assert len(left) > 1
    do(step, machine)
    assert KIND.probe(step, machine) is State.AFTER


def test_one_that_was_killed_after_it_had_its_name_is_finished(machine):
    step = overlay(machine)
    do(step, machine)
    path = machine.paths.at(PATH)
    os.link(path, os.path.join(os.path.dirname(path), f".win11.s1.qcow2.{OPERATION}.vfioctl-new"))
    assert KIND.probe(step, machine) is State.BETWEEN
    assert "already" in do(step, machine)
    assert names(machine) == ["win11.qcow2", "win11.s1.qcow2"]
    assert KIND.probe(step, machine) is State.AFTER


def test_a_program_that_fails_is_named_and_leaves_nothing(machine, monkeypatch):
    monkeypatch.setattr(machine.programs, "path", "/nowhere")
    with pytest.raises(StepFailed) as caught:
        KIND.apply(overlay(machine, size=16 << 20), machine)
    assert caught.value.code == "program.missing"
    assert names(machine) == ["win11.qcow2"]


@pytest.mark.parametrize("wrong", [
    {"path": "x"}, {"backing": ""}, {"backing_format": "json"}, {"mode": "0200"},
], ids=str)  # fmt: skip
def test_parameters_that_cannot_be_meant_are_refused(wrong):
    assert KIND.unfit({**WISH, **wrong})
