"""Kernel writes in a child of their own. Pipes and FIFOs stand in for files whose write or open never returns."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from pathlib import Path

import pytest

from vfioctl.kernel_io import StuckWrite, Writer
from vfioctl.wait import until


@pytest.fixture
def attribute(tmp_path):
    path = tmp_path / "attribute"
    path.write_text("old\n")
    return str(path)


@pytest.fixture
def never(tmp_path):
    """A file whose opening for writing waits until somebody reads it."""
    path = str(tmp_path / "never")
    os.mkfifo(path)
    return path


def content(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock `path`."""
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def test_it_writes_and_says_what_was_and_what_is(attribute):
    assert Writer().swap(attribute, "new\n", deadline=2, unless=("new",)) == ("old", "new")


def test_what_is_already_so_is_not_written(attribute):
    os.chmod(attribute, 0o444)
    assert Writer().swap(attribute, "XXX\n", deadline=2, unless=("old",)) == ("old", "old")
    assert content(attribute) == "old\n"


def test_without_a_look_nothing_is_read(attribute):
    assert Writer().swap(attribute, "new\n", deadline=2) == ("", "")
    assert content(attribute) == "new\n"


def test_the_kernels_error_is_raised_here(tmp_path):
    with pytest.raises(OSError, match="absent") as caught:
        Writer().swap(str(tmp_path / "absent"), "1", deadline=2)
    assert caught.value.errno == errno.ENOENT


def test_one_child_makes_many_writes(attribute):
    writer = Writer()
    writer.swap(attribute, "one", deadline=2)
    child = writer._child.pid
    writer.swap(attribute, "two", deadline=2)
    assert writer._child.pid == child


def test_a_write_that_does_not_return_names_its_process_and_the_next_one_goes_on(never, attribute):
    writer = Writer()
    with pytest.raises(StuckWrite, match="does not return") as caught:
        writer.swap(never, "1", deadline=0.1)
    assert os.path.exists(f"/proc/{caught.value.pid}")
    assert caught.value.path == never
    writer.swap(attribute, "new", deadline=2)
    assert content(attribute).startswith("new")
    os.close(os.open(never, os.O_RDONLY | os.O_NONBLOCK))


class Alarm(Exception):
    pass


def ring(*_: object) -> None:
    raise Alarm


def test_one_that_is_broken_off_by_an_alarm_answers_no_later_question(never, attribute):
    writer, before = Writer(), signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(Alarm):
            writer.look(never, deadline=30)
    finally:
        signal.signal(signal.SIGALRM, before)
    os.close(os.open(never, os.O_WRONLY))
    assert writer.look(attribute, deadline=5) == "old"


def test_a_stuck_child_keeps_no_lock_of_ours(never, tmp_path):
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(StuckWrite):
        Writer().swap(never, "1", deadline=0.1)
    os.close(lock)
    assert until(lambda: is_free(tmp_path / "lock"), 5)  # a child that has hardly begun still holds it
    os.close(os.open(never, os.O_RDONLY | os.O_NONBLOCK))


def test_the_child_ends_with_its_writer(attribute):
    writer = Writer()
    writer.swap(attribute, "x", deadline=2)
    child = writer._child.pid
    del writer

    def ended() -> bool:
        try:
            return os.waitpid(child, os.WNOHANG)[0] == child
        except ChildProcessError:
            return True

    assert until(ended, 5)
