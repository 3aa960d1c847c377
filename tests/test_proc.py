"""Programs and children: found in one PATH, bounded, with an environment of our own."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import signal

import pytest

from vfioctl import files, guard
from vfioctl.errors import Busy, DeadlineExceeded, StepFailed
from vfioctl.host.processes import is_alive, start_time
from vfioctl.paths import Paths
from vfioctl.proc import Programs, fork_detached, in_child
from vfioctl.wait import until


@pytest.fixture
def programs(tmp_path):
    return Programs(f"{tmp_path}:/usr/bin:/bin")


def script(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_output_and_status_are_kept_whole(programs, tmp_path):
    script(tmp_path, "talk", "cat; echo bad >&2; exit 3")
    ended = programs.run(["talk", "a"], deadline=5, stdin="in")
    assert (ended.returncode, ended.stdout, ended.stderr, ended.ok) == (3, "in", "bad\n", False)
    assert ended.why() == "talk a ended with status 3: bad"


def test_the_environment_is_ours_alone(programs, monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", "evil.so")
    names = {line.partition("=")[0] for line in programs.run(["env"], deadline=5).stdout.splitlines()}
    assert names <= {"PATH", "LC_ALL", "LANG", "TERM", "PWD"}


def test_a_missing_program_is_named_with_where_it_was_looked_for(programs):
    with pytest.raises(StepFailed, match="no-such-thing is not installed") as caught:
        programs.run(["no-such-thing"], deadline=5)
    assert caught.value.code == "program.missing"


def test_a_program_that_cannot_be_started_is_named(programs, tmp_path):
    script(tmp_path, "broken", "")
    (tmp_path / "broken").write_text("#!/no/such/interpreter\n")
    with pytest.raises(StepFailed) as caught:
        programs.run(["broken"], deadline=5)
    assert caught.value.code == "program.unusable"


def test_a_program_that_does_not_end_is_killed_with_its_children(programs, tmp_path):
    script(tmp_path, "slow", f"sleep 60 & echo $! >{tmp_path}/pid; wait")
    with pytest.raises(DeadlineExceeded) as caught:
        programs.run(["slow"], deadline=0.3)
    assert caught.value.code == "program.deadline"
    child = (tmp_path / "pid").read_text().strip()
    started = start_time(Paths("/"), int(child))
    assert until(lambda: not is_alive(Paths("/"), int(child), started or 0), 5)


def test_a_clock_around_it_ends_the_program(programs, tmp_path):
    script(tmp_path, "slow", f"echo $$ >{tmp_path}/pid; exec sleep 60")
    called = guard.call(lambda: programs.run(["slow"], deadline=60), alarm=1.0)
    assert isinstance(called.error, guard.Hung)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.fixture
def whole(programs, tmp_path):
    """A program that must not be killed half-way; what it has written."""
    script(tmp_path, "whole", f"echo half >{tmp_path}/file; sleep 0.6; echo whole >{tmp_path}/file")
    return (tmp_path / "file").read_text


def test_what_changes_a_file_in_place_goes_on_when_it_takes_too_long_and_keeps_our_locks(programs, tmp_path, whole):
    lock = files.Lock(str(tmp_path / "lock"), "It is changed")
    with lock:
        pass
    lock.acquire(deadline=1)
    with pytest.raises(DeadlineExceeded, match="goes on"):
        programs.holding(lock.fd).run(["whole"], deadline=0.1, whole=True)
    os.close(lock.fd)
    with pytest.raises(Busy):
        files.Lock(str(tmp_path / "lock"), "It is changed").acquire(deadline=0)
    assert until(lambda: whole() == "whole\n", 5)


def test_what_changes_a_file_in_place_comes_to_its_end_before_an_interruption(programs, whole):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupted)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            programs.run(["whole"], deadline=9, whole=True)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert whole() == "whole\n"


def test_a_death_by_signal_is_said(programs, tmp_path):
    script(tmp_path, "dies", "kill -TERM $$")
    assert programs.run(["dies"], deadline=5).why() == "dies was killed by SIGTERM"


def test_children_inherit_the_locks_that_they_shall_hold(programs, tmp_path):
    fd = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    listed = programs.holding(fd, -1).run(["ls", "-l", "/proc/self/fd"], deadline=5).stdout
    os.close(fd)
    assert str(tmp_path / "lock") in listed


def test_a_child_reports_its_data_and_its_errno():
    assert in_child(lambda: b"data", deadline=5).data == b"data"

    def fails() -> bytes:
        raise OSError(errno.EBUSY, "busy")

    assert in_child(fails, deadline=5).errno == errno.EBUSY


def test_a_bug_in_a_child_is_not_swallowed():
    def bug() -> bytes:
        raise KeyError("x")

    with pytest.raises(RuntimeError, match="KeyError"):
        in_child(bug, deadline=5)


def test_a_child_collects_no_garbage_of_its_parent(tmp_path):
    """The destructor of a connection to libvirt never returns there."""

    class Thing:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            (tmp_path / str(os.getpid())).touch()

    gc.disable()
    try:
        Thing()
        in_child(lambda: b"%d" % gc.collect(), deadline=5)
        assert os.listdir(tmp_path) == []
    finally:
        gc.enable()
    gc.collect()
    assert os.listdir(tmp_path) == [str(os.getpid())]


def test_a_child_that_misses_its_deadline_is_left_alone(tmp_path):
    os.mkfifo(tmp_path / "never")
    report = in_child((tmp_path / "never").read_bytes, deadline=0.1)
    assert report.stuck
    assert os.path.exists(f"/proc/{report.pid}")
    os.close(os.open(tmp_path / "never", os.O_WRONLY))
    os.waitpid(report.pid, 0)


def test_a_detached_process_is_in_a_session_of_its_own_and_writes_to_its_log(tmp_path):
    log = tmp_path / "log"

    def work() -> None:
        os.write(1, f"{os.getsid(0)} {os.getpid()}\n".encode())

    pid = fork_detached(work, log=str(log))
    os.waitpid(pid, 0)
    assert log.read_text() == f"{pid} {pid}\n"




def test_what_a_program_says_is_heard_while_it_runs_and_kept_whole(programs, tmp_path):
    wait = f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done"
    script(tmp_path, "count", f"echo one; {wait}; echo two; echo bad >&2; exit 3")
    heard = []

    def listen(said):
        heard.append(said)
        (tmp_path / "go").touch()

    ended = programs.follow(["count"], deadline=20, heard=listen)
    assert heard[0] == "one\n"
    assert "".join(heard) == ended.stdout == "one\ntwo\n"
    assert (ended.returncode, ended.stderr) == (3, "bad\n")


def test_silence_is_heard_too_and_what_hears_it_can_end_the_program(programs, tmp_path):
    script(tmp_path, "slow", f"sleep 60 & echo $! >{tmp_path}/pid; wait")

    def stop(said):
        if not said and (tmp_path / "pid").exists():
            raise StepFailed("engine.interrupted", "It was asked to stop.")

    with pytest.raises(StepFailed, match="asked to stop"):
        programs.follow(["slow"], deadline=20, heard=stop)
    pid = int((tmp_path / "pid").read_text())
    assert until(lambda: not is_alive(Paths(), pid, start_time(Paths(), pid) or 0), 5)


def test_a_program_that_is_followed_has_a_deadline(programs, tmp_path):
    script(tmp_path, "slow", "sleep 60")
    with pytest.raises(DeadlineExceeded) as caught:
        programs.follow(["slow"], deadline=0.3, heard=lambda _: None)
    assert caught.value.code == "program.deadline"
