"""Long work in a child: what it says is heard, and neither it nor its parent outlives what it is for."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from vfioctl.errors import DeadlineExceeded, Refused, StepRefused, Unanswered, VfioctlError
from vfioctl.followed import SilentError, followed
from vfioctl.wait import until

PARENT = """
import sys, time
from vfioctl.followed import followed
def work(say):
    with open(sys.argv[1], "a") as file:
        while True:
            file.write("x")
            file.flush()
            time.sleep(0.02)
followed(work, lambda *_: None, quiet=60)
"""


def unheard(*_: Any) -> None:
    """Nobody listens."""


def asleep(say: Any) -> None:
    say("pid", os.getpid())
    time.sleep(60)


def is_gone(pid: int) -> bool:
    return not os.path.exists(f"/proc/{pid}")


def test_what_it_says_is_heard_in_order_and_what_it_gives_returned() -> None:
    heard: list[Any] = []

    def work(say: Any) -> dict[str, int]:
        for number in range(3):
            say("at", number)
        return {"pid": os.getpid()}

    assert followed(work, lambda *words: heard.append(words), quiet=60)["pid"] != os.getpid()
    assert [words for words in heard if words] == [("at", 0), ("at", 1), ("at", 2)]


def test_what_it_says_may_be_long() -> None:
    assert len(followed(lambda _: "x" * (1 << 20), unheard, quiet=60)) == 1 << 20


@pytest.mark.parametrize(("error", "kind"), [
    (StepRefused("a.code", "What.", state="So.", hints=("Do.",)), StepRefused),
    (DeadlineExceeded("a.code", "What.", state="So.", hints=("Do.",)), DeadlineExceeded),
    (Unanswered("/mnt/file"), Refused),
], ids=lambda one: type(one).__name__)  # fmt: skip
def test_its_errors_are_raised_as_they_are(error: VfioctlError, kind: type[VfioctlError]) -> None:
    def work(_: Any) -> None:
        raise error

    with pytest.raises(VfioctlError) as caught:
        followed(work, unheard, quiet=60)
    assert type(caught.value) is kind
    seen = caught.value
    assert (seen.code, seen.message, seen.state, seen.hints) == (error.code, error.message, error.state, error.hints)


def test_an_error_of_the_system_keeps_its_number() -> None:
    def work(_: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="No space left") as caught:
        followed(work, unheard, quiet=60)
    assert caught.value.errno == errno.ENOSPC


def test_a_bug_of_it_is_not_swallowed() -> None:
    with pytest.raises(RuntimeError, match="KeyError"):
        followed(lambda _: {}["x"], unheard, quiet=60)


def test_one_that_is_killed_is_told() -> None:
    with pytest.raises(RuntimeError, match="it was killed"):
        followed(lambda _: os.kill(os.getpid(), signal.SIGKILL), unheard, quiet=60)


def test_one_that_falls_silent_is_ended_and_what_it_said_last_is_known() -> None:
    with pytest.raises(SilentError) as caught:
        followed(asleep, unheard, quiet=0.2)
    word, pid = caught.value.last
    assert word == "pid"
    assert is_gone(pid)


def test_one_that_goes_on_speaking_has_all_the_time() -> None:
    def work(say: Any) -> str:
        for number in range(8):
            time.sleep(0.1)
            say(number)
        return "done"

    assert followed(work, unheard, quiet=0.5) == "done"


def test_whoever_hears_it_may_end_it_also_while_it_is_silent() -> None:
    pids: list[int] = []

    def heard(*words: Any) -> None:
        if not words:
            raise InterruptedError
        pids.append(words[1])

    began = time.monotonic()
    with pytest.raises(InterruptedError):
        followed(asleep, heard, quiet=60)
    assert time.monotonic() - began < 5
    assert is_gone(pids[0])


def test_it_has_nothing_of_ours_but_what_it_is_given(tmp_path: Path) -> None:
    with open(tmp_path / "given", "w") as given, open(tmp_path / "other", "w") as other:
        os.set_inheritable(other.fileno(), True)  # noqa: FBT003

        def opened(_: Any) -> list[str]:
            return [os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if os.path.exists(entry.path)]

        seen = followed(opened, unheard, quiet=60, keep_fds=(given.fileno(),))
    assert str(tmp_path / "given") in seen
    assert str(tmp_path / "other") not in seen


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "written"
    with subprocess.Popen([sys.executable, "-c", PARENT, str(file)]) as parent:
        assert until(lambda: file.exists() and file.stat().st_size > 2, 20)
        parent.kill()
    time.sleep(0.3)
    length = file.stat().st_size
    time.sleep(0.3)
    assert file.stat().st_size == length
