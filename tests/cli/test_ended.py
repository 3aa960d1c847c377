"""SIGTERM and SIGHUP to a command at work: whenever they come, what it has begun is undone. Cancel tells the truth."""

from __future__ import annotations

import os
import pty
import signal
import subprocess

import pytest
from downloads import serving
from files_operation import BOUNDARIES, NAME, FilesHost
from files_verb import offer, typed, words
from three_guests import is_asked_to_stop

from vfioctl.testing.crash import crash_at, pause_at, paused
from vfioctl.txn.runner import apart
from vfioctl.wait import until

SECONDS = 20.0
each_ending = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])


@pytest.fixture
def on(tmp_path):
    with serving() as served:
        tmp_path.chmod(0o755)
        host = FilesHost(tmp_path, served, processes=True)
        offer(host)
        yield host
        served.pause.set()


def at_boundary(on: FilesHost, boundary: int) -> subprocess.Popen[str]:
    """The command, which stands still at that line of its journal."""
    pause_at(on.root, boundary)
    process = typed(on)
    assert until(lambda: paused(on.root) == process.pid, SECONDS)
    return process


def sent(process: subprocess.Popen[str], *numbers: int) -> tuple[int, str, str]:
    """How it ends after these signals: status, stdout, stderr."""
    for number in numbers:
        process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def half_way(on: FilesHost) -> subprocess.Popen[str]:
    """The command, whose download stands in the middle."""
    on.served.half_way()
    process = typed(on)
    assert on.served.reached.wait(SECONDS)
    return process


def is_untouched(on: FilesHost) -> bool:
    return (on.files(), on.left()) == (on.before, ())


def test_undisturbed_it_does_its_work(on):
    status, _, err = sent(typed(on))
    assert (status, err, on.story()) == (0, "", None)
    assert on.files() != on.before


def test_live_lines_that_a_full_disk_has_lost_are_said_and_it_fails_having_done_its_work(on):
    shell = ("sh", "-c", '"$@" >/dev/full', "sh", *words(on))
    full = subprocess.run(shell, capture_output=True, text=True, cwd="/", check=False)
    assert (full.returncode, on.story()) == (1, None)
    assert "[output.lost]\n  What the command does is done.\n" in full.stderr
    assert on.files() != on.before


@each_ending
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_whenever_it_comes_everything_is_undone(on, number, boundary):
    status, _, err = sent(at_boundary(on, boundary), number)
    assert (status, on.left(), on.files() == on.before) == (128 + number, (), True)
    assert "was interrupted; it was undone. [interrupted]" in err


@each_ending
def test_in_the_middle_of_a_download_too(on, number):
    status, _, err = sent(half_way(on), number)
    assert (status, is_untouched(on)) == (128 + number, True)
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_program_that_a_step_runs_is_ended_first(on, number):
    program = on.root / "usr/bin/note"
    program.write_text(f'#!/bin/sh\n[ $1 = remove ] || {{ echo >"{on.root}/begun"; exec /bin/sleep 60; }}\n')
    process = typed(on)
    assert until((on.root / "begun").exists, SECONDS)
    status, _, err = sent(process, number)
    assert (status, is_untouched(on)) == (128 + number, True), err


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGHUP, signal.SIGHUP), (signal.SIGHUP, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)],
    ids=["twice", "SIGHUP and SIGTERM", "^C and SIGTERM"],
)
def test_the_end_of_a_login_interrupts_no_undo(on, numbers):
    first, *others = numbers
    process = at_boundary(on, 4)
    pause_at(on.root, 3)
    process.send_signal(first)
    process.send_signal(signal.SIGCONT)
    assert until(lambda: paused(on.root) == process.pid, SECONDS)
    status, _, err = sent(process, *others)
    ended = next(number for number in numbers if number != signal.SIGINT)
    assert (status, is_untouched(on)) == (128 + ended, True), err


def test_a_terminal_that_goes_ends_it_as_well(on):
    ours, theirs = pty.openpty()
    pause_at(on.root, 4)
    command = words(on, under=("setsid", "--ctty"))
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd="/")
    os.close(theirs)
    assert until(lambda: paused(on.root) == process.pid, SECONDS)
    os.close(ours)
    assert (process.wait(SECONDS), is_untouched(on)) == (128 + signal.SIGHUP, True)


def test_who_is_to_outlive_a_terminal_does(on):
    pause_at(on.root, 4)
    process = typed(on, under=("nohup",))
    assert until(lambda: paused(on.root) == process.pid, SECONDS)
    status, *_ = sent(process, signal.SIGHUP)
    assert (status, on.story()) == (0, None)
    assert on.files() != on.before


@each_ending
def test_a_follower_ends_at_once_and_leaves_the_operation(on, number):
    on.served.half_way()
    apart(on.node, on.plan())
    follower = typed(on, "operation", "follow", on.key)
    while "…" not in follower.stdout.readline():
        pass
    status, _, err = sent(follower, number)
    assert (status, "goes on" in err) == (128 + number, True)
    on.served.pause.set()
    assert until(lambda: on.story() is None, SECONDS)
    assert on.files() != on.before


def test_a_cancel_of_one_in_the_foreground_undoes_it(on):
    process = half_way(on)
    said = on.command("operation", "cancel", on.key)
    assert (said.returncode, sent(process)[0]) == (0, 128 + signal.SIGTERM), said.stderr
    assert said.stdout == f"{NAME} a set was interrupted; it was undone.\n"
    assert is_untouched(on)


@pytest.mark.parametrize("boundary", [1, 4, 9])
def test_one_that_was_killed_is_not_said_to_be_cancelled(on, boundary):
    crash_at(on.root, boundary)
    assert sent(typed(on))[0] == -signal.SIGKILL
    crash_at(on.root, None)
    said = on.command("operation", "cancel", on.key)
    assert (said.returncode, "cancelled" in said.stdout) == (3, False)
    assert "No process works on" in said.stderr
    assert "vfioctl recover" in said.stderr
    assert on.command("recover").returncode == 0
    assert is_untouched(on)


def test_one_that_dies_of_the_cancel_is_not_said_to_be_cancelled(on):
    """A process of ours that is killed while it is to stop has undone nothing."""
    process = at_boundary(on, 4)
    cancel = typed(on, "operation", "cancel", on.key)
    assert until(lambda: is_asked_to_stop(process.pid), SECONDS)
    assert sent(process, signal.SIGKILL)[0] == -signal.SIGKILL
    status, out, err = sent(cancel)
    assert (status, "cancelled" in out) == (1, False)
    assert "No process works on files set a set any more: it was interrupted. [operation.alone]" in err
    assert on.command("recover").returncode == 0
    assert is_untouched(on)
