"""disk.merge on real images, by bytes."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest
from disk_images import MISSING, content, create, fill, opened
from step_builders import planned, program, put

from vfioctl.errors import DeadlineExceeded, StepFailed, StepRefused
from vfioctl.frozen import replace
from vfioctl.kinds.disks import disk_merge
from vfioctl.kinds.disks.disk_merge import KIND
from vfioctl.txn.step import State, StepProposal

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")
PATH, BASE, MIDDLE, TOP = (f"/srv/{name}.qcow2" for name in ("new", "base", "middle", "top"))
WISH = {"path": PATH, "top": TOP, "base": BASE, "format": "qcow2", "mode": "0640", "owner": os.getuid(),
        "group": os.getgid()}  # fmt: skip


@pytest.fixture
def machine(plain):
    """Three images above each other, each with bytes of its own, of the one below, and zeros over what is below."""
    os.mkdir(plain.paths.at("srv"), 0o755)
    base, middle, top = (plain.paths.at(path) for path in (BASE, MIDDLE, TOP))
    create(base)
    create(middle, backing=base)
    create(top, backing=middle)
    for path, sections in ((base, (0, 1, 2, 3)), (middle, (1, 2, 4)), (top, (2, 5))):
        for section in sections:
            fill(path, 16 * len(path) % 251 + section, section)
    fill(middle, 0, 3)
    return plain


def merge(machine, **more):
    return planned(machine, "disk.merge", {**WISH, **more}, deadline=60.0)


def do(step, machine):
    KIND.guard(step, machine)
    return KIND.apply(step, machine)


def seen(machine, path=TOP, form="qcow2"):
    return content(machine.paths.at(path), form=form)


def codes(machine, **more):
    proposal = StepProposal("x", "disk.merge", {**WISH, **more}, "a test")
    return [one.code for one in KIND.check(proposal, machine.host())]


def names(machine):
    return sorted(os.listdir(machine.paths.at("srv")))


def below(machine, path=PATH):
    return [os.path.basename(layer.path) for layer in disk_merge.chain(machine.paths.at(path))]


@pytest.mark.parametrize(("base", "left"), [
    (MIDDLE, ["middle.qcow2", "base.qcow2"]), (BASE, ["base.qcow2"]), ("", []),
], ids=["a copy", "one layer less", "flat"])  # fmt: skip
def test_the_new_image_shows_what_the_uppermost_one_shows(machine, base, left):
    before = {path: seen(machine, path) for path in (BASE, MIDDLE, TOP)}
    step = merge(machine, base=base)
    assert codes(machine, base=base) == []
    assert do(step, machine) is None
    assert seen(machine, PATH) == before[TOP]
    assert below(machine) == left
    assert {path: seen(machine, path) for path in (BASE, MIDDLE, TOP)} == before
    assert stat.S_IMODE(os.stat(machine.paths.at(PATH)).st_mode) == 0o640
    assert KIND.probe(step, machine) is State.AFTER
    assert "already" in do(step, machine)
    assert KIND.undo(step, machine) is None
    assert names(machine) == ["base.qcow2", "middle.qcow2", "top.qcow2"]


def test_what_lies_between_may_be_gone_afterwards(machine):
    before = seen(machine)
    do(merge(machine), machine)
    os.unlink(machine.paths.at(MIDDLE))
    os.unlink(machine.paths.at(TOP))
    assert seen(machine, PATH) == before


def test_one_without_anything_below_may_be_raw(machine):
    before = seen(machine)
    do(merge(machine, base="", format="raw"), machine)
    assert seen(machine, PATH, "raw") == before
    assert KIND.unfit({**WISH, "format": "raw"})


def test_relative_names_in_the_images_lead_to_the_same_ones(machine):
    place = machine.paths.at("srv")
    for path, name in ((TOP, "middle.qcow2"), (MIDDLE, "base.qcow2")):
        argv = ["qemu-img", "rebase", "-u", "-F", "qcow2", "-b", name, machine.paths.at(path)]
        subprocess.run(argv, check=True)
    before = seen(machine)
    os.mkdir(os.path.join(place, "elsewhere"), 0o755)
    step = merge(machine, path="/srv/elsewhere/new.qcow2", base=MIDDLE)
    do(step, machine)
    assert seen(machine, "/srv/elsewhere/new.qcow2") == before


def test_it_tells_how_far_it_is_and_ends_at_the_end(machine):
    told = []
    watched = machine.watched(lambda *said: told.append(said), lambda: None)
    do(merge(machine), watched)
    done = [one for one, _, _ in told]
    assert done == sorted(done)
    assert done[-1] == told[-1][1] > 0
    assert {unit for _, _, unit in told} == {"bytes"}


def test_it_can_be_cancelled_and_leaves_nothing(machine):
    def stop():
        raise DeadlineExceeded("step.deadline", "It did not end in time.")

    with pytest.raises(DeadlineExceeded):
        KIND.apply(merge(machine), machine.watched(lambda *_: None, stop))
    assert names(machine) == ["base.qcow2", "middle.qcow2", "top.qcow2"]


def test_a_program_that_hangs_is_ended_in_time(machine):
    os.unlink(machine.paths.at("usr/bin/qemu-img"))
    program(machine, "qemu-img", 'case $1 in info) exec /usr/bin/qemu-img "$@" ;; esac; exec /bin/sleep 60')
    with pytest.raises(DeadlineExceeded):
        KIND.apply(replace(merge(machine), deadline=0.5), machine)
    assert names(machine) == ["base.qcow2", "middle.qcow2", "top.qcow2"]


@pytest.mark.parametrize("path", [TOP, MIDDLE, BASE])
def test_nothing_is_merged_while_a_guest_writes_to_any_of_them(machine, path):
    user = opened(machine.paths.at(path))
    assert codes(machine) == ["disk.busy"]
    with pytest.raises(StepRefused) as caught:
        KIND.guard(merge(machine), machine)
    assert caught.value.code == "disk.busy"
    user.communicate()


def test_a_base_that_is_not_below_is_found_and_refused(machine):
    create(machine.paths.at("/srv/other.qcow2"))
    assert codes(machine, base="/srv/other.qcow2") == ["disk.not_below"]


def test_a_layer_that_is_gone_is_found_and_refused(machine):
    os.rename(machine.paths.at(MIDDLE), machine.paths.at("/srv/away"))
    assert codes(machine) == codes(machine, base="") == ["disk.incomplete"]
    with pytest.raises(StepFailed):
        KIND.guard(merge(machine), machine)


def test_a_layer_of_unstated_format_is_found_and_refused(machine):
    """qemu-img writes no image without it any more; its name among the extensions is made unknown here."""
    with open(machine.paths.at(TOP), "r+b") as file:
        header = file.read(4096)
        file.seek(header.index(b"\xe2\x79\x2a\xca"))
        file.write(b"\x0a\x0b\x0c\x0d")
    assert codes(machine) == ["disk.unstated"]


def test_internal_snapshots_are_not_mixed_with_external_ones(machine):
    subprocess.run(["qemu-img", "snapshot", "-c", "inner", machine.paths.at(TOP)], check=True)
    assert codes(machine) == ["disk.unsupported"]


def test_a_chain_in_a_circle_is_refused(machine):
    argv = ["qemu-img", "rebase", "-u", "-F", "qcow2", "-b", machine.paths.at(TOP), machine.paths.at(BASE)]
    subprocess.run(argv, check=True)
    create(machine.paths.at("/srv/other.qcow2"))
    assert codes(machine, base="/srv/other.qcow2") == ["disk.too_deep"]
    assert codes(machine, base="") == ["disk.too_deep"]


def test_what_a_guest_has_written_since_is_not_taken_away(machine):
    step = merge(machine)
    do(step, machine)
    fill(machine.paths.at(PATH), 99, 6)
    assert KIND.probe(step, machine) is State.FOREIGN
    assert "not ours" in KIND.undo(step, machine)
    assert "new.qcow2" in names(machine)


def test_a_full_disk_is_named_and_leaves_nothing(machine):
    os.unlink(machine.paths.at("usr/bin/qemu-img"))
    program(machine, "qemu-img", "echo 'qemu-img: error: No space left on device' >&2; exit 1")
    with pytest.raises(StepFailed) as caught:
        KIND.apply(merge(machine), machine)
    assert caught.value.code == "disk.no_room"
    assert names(machine) == ["base.qcow2", "middle.qcow2", "top.qcow2"]


def test_a_foreign_file_of_the_name_stays(machine):
    step = merge(machine)
    put(machine.paths.at(PATH), "precious")
    assert codes(machine) == ["file.exists"]
    assert KIND.probe(step, machine) is State.FOREIGN
    with pytest.raises(StepRefused):
        KIND.guard(step, machine)
    assert "not ours" in KIND.undo(step, machine)
