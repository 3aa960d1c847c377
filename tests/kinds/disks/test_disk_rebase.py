"""disk.rebase on real images, by bytes."""

from __future__ import annotations

import os

import pytest
from disk_images import MISSING, content, create, fill, opened
from step_builders import planned, program

from vfioctl.errors import DeadlineExceeded, StepFailed, StepRefused
from vfioctl.kinds.disks.disk_rebase import KIND
from vfioctl.txn.step import State, StepProposal

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")
BASE, MIDDLE, TOP, FORK = (f"/srv/{name}.qcow2" for name in ("base", "middle", "top", "fork"))
WISH = {"path": TOP, "backing": MIDDLE, "backing_format": "qcow2", "to": BASE, "to_format": "qcow2", "domain": "a-uuid"}
FLAT = {"path": MIDDLE, "backing": BASE, "backing_format": "qcow2", "to": "", "to_format": ""}


@pytest.fixture
def machine(plain):
    """Three images above each other, each with bytes of its own and zeros over what is below; and a fork."""
    os.mkdir(plain.paths.at("srv"), 0o755)
    base, middle, top, fork = (plain.paths.at(path) for path in (BASE, MIDDLE, TOP, FORK))
    create(base)
    create(middle, backing=base)
    create(top, backing=middle)
    create(fork, backing=middle)
    for number, (path, sections) in enumerate(((base, (0, 1, 2, 3)), (middle, (1, 2, 4)), (top, (2, 5)), (fork, (6,)))):
        for section in sections:
            fill(path, 40 * (number + 1) + section, section)
    fill(middle, 0, 3)
    return plain


def rebase(machine, **more):
    return planned(machine, "disk.rebase", {**WISH, **more}, deadline=60.0)


def do(step, machine):
    KIND.guard(step, machine)
    return KIND.apply(step, machine)


def seen(machine, *paths):
    return [content(machine.paths.at(path)) for path in paths]


def codes(machine, **more):
    proposal = StepProposal("x", "disk.rebase", {**WISH, **more}, "a test")
    return [one.code for one in KIND.check(proposal, machine.host())]


@pytest.mark.parametrize("wish", [{}, FLAT], ids=["over the base", "over nothing"])
def test_every_guest_sees_the_same_afterwards(machine, wish):
    before = seen(machine, TOP, MIDDLE, FORK, BASE)
    step = rebase(machine, **wish)
    assert do(step, machine) is None
    assert KIND.probe(step, machine) is State.AFTER
    assert seen(machine, TOP, MIDDLE, FORK, BASE) == before


def test_what_lay_below_is_needed_no_more(machine):
    (before,) = seen(machine, TOP)
    do(rebase(machine), machine)
    os.unlink(machine.paths.at(MIDDLE))
    assert seen(machine, TOP) == [before]


def test_done_twice_it_has_nothing_to_do(machine):
    step = rebase(machine)
    do(step, machine)
    assert "does not lie over" in do(step, machine)


def test_its_undo_puts_it_over_the_former_image_and_changes_no_byte(machine):
    before = seen(machine, TOP, MIDDLE)
    step = rebase(machine)
    do(step, machine)
    assert KIND.undo(step, machine) is None
    assert KIND.probe(step, machine) is State.BEFORE
    assert seen(machine, TOP, MIDDLE) == before
    assert "lies over" in KIND.undo(step, machine)


def test_what_is_gone_by_its_undo_is_not_missed(machine):
    (before,) = seen(machine, TOP)
    step = rebase(machine)
    do(step, machine)
    os.unlink(machine.paths.at(MIDDLE))
    assert "is gone" in KIND.undo(step, machine)
    assert seen(machine, TOP) == [before]


def test_a_relative_name_below_is_the_same_image(machine):
    os.symlink("middle.qcow2", machine.paths.at("srv/link.qcow2"))
    argv = ("qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "link.qcow2", "-F", "qcow2", machine.paths.at(TOP))
    machine.programs.run(argv, deadline=9)
    assert codes(machine) == []
    assert KIND.probe(rebase(machine), machine) is State.BEFORE


def test_an_image_that_was_put_over_another_one_meanwhile_is_left(machine):
    step = rebase(machine, to="", to_format="")
    do(rebase(machine), machine)
    assert KIND.probe(step, machine) is State.FOREIGN
    with pytest.raises(StepRefused) as refused:
        KIND.guard(step, machine)
    assert refused.value.code == "disk.changed"


@pytest.mark.parametrize("path", [TOP, MIDDLE, BASE])
def test_what_is_not_there_is_refused(machine, path):
    os.unlink(machine.paths.at(path))
    assert codes(machine) == ["file.missing"]


def test_what_lies_over_another_image_is_refused(machine):
    assert codes(machine, backing=BASE) == ["disk.changed"]


def test_an_image_that_a_guest_has_open_is_not_touched(machine):
    user = opened(machine.paths.at(TOP))
    try:
        with pytest.raises(StepRefused) as refused:
            do(rebase(machine), machine)
        assert refused.value.code == "disk.busy"
    finally:
        user.communicate()


@pytest.mark.parametrize(
    ("script", "error", "code"),
    [
        ("echo 'No space left on device' >&2; exit 1", StepFailed, "disk.no_room"),
        ("echo broken >&2; exit 1", StepFailed, "disk.failed"),
        ("exec /bin/sleep 30", DeadlineExceeded, "program.deadline"),
    ],
)
def test_a_failure_is_told_and_the_guest_sees_the_same(machine, script, error, code):
    (before,) = seen(machine, TOP)
    program(machine, "qemu-img", script)
    step = planned(machine, "disk.rebase", WISH, deadline=0.5)
    with pytest.raises(error) as failed:
        do(step, machine)
    assert failed.value.code == code
    assert KIND.probe(step, machine) is State.BEFORE
    assert seen(machine, TOP) == [before]


def test_it_says_how_far_it_is(machine):
    told = []
    step = rebase(machine)
    KIND.apply(step, machine.watched(lambda *said: told.append(said), lambda: None))
    done, total, unit = told[-1]
    assert (done == total > 0, unit) == (True, "bytes")


def test_it_locks_the_guest_whose_disk_it_is():
    assert KIND.touches(WISH) == ("domain:a-uuid",)
