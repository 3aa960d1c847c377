"""Programs with bytes that go in and come out: both at once, however many, and ended when nothing moves any more."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.pipe import Piped, piped
from vfioctl.wait import until

STALL = 10.0


def test_more_than_a_pipe_holds_goes_both_ways_at_once() -> None:
    sent, came = [os.urandom(1 << 18) for _ in range(8)], hashlib.sha256()
    assert piped(("cat",), sent, came.update, stall=STALL) == Piped(0, "")
    assert came.digest() == hashlib.sha256(b"".join(sent)).digest()


def test_its_status_and_the_end_of_what_it_complained_of_come_back() -> None:
    script = 'i=0; while [ $i -lt 30000 ]; do echo word; i=$((i + 1)); done >&2; echo last >&2; exit 7'
    ended = piped(("sh", "-c", script), (), lambda _: None, stall=STALL)
    assert ended.status == 7
    assert ended.stderr.endswith("word\nlast\n")
    assert len(ended.stderr) == 1 << 16


def test_one_that_reads_no_more_ends_with_its_own_status() -> None:
    endless = (bytes(1 << 16) for _ in range(1000))
    assert piped(("sh", "-c", "echo full >&2; exit 3"), endless, lambda _: None, stall=STALL) == Piped(3, "full\n")


@pytest.mark.parametrize("script", ["sleep 60", "exec >&- 2>&-; sleep 60"])
def test_one_that_does_nothing_is_ended(script: str, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(DeadlineExceeded, match=r"sh did nothing for 0\.3 s and was killed"):
        piped(("sh", "-c", f"echo $$ > {pid}; {script}"), (), lambda _: None, stall=0.3)
    assert _is_gone(pid)


def test_what_the_caller_raises_ends_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    def refuse(_: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        piped(("sh", "-c", f"echo $$ > {pid}; echo word; sleep 60"), (), refuse, stall=STALL)
    assert _is_gone(pid)


def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StepFailed, match="The program ssh is not installed") as caught:
        piped(("ssh", "host"), (), lambda _: None, stall=STALL)
    assert caught.value.code == "program.missing"
    (tmp_path / "ssh").write_bytes(b"\x7fELF")
    (tmp_path / "ssh").chmod(0o755)
    with pytest.raises(StepFailed, match="ssh cannot be started") as caught:
        piped(("ssh", "host"), (), lambda _: None, stall=STALL)
    assert caught.value.code == "program.unusable"


def _is_gone(pid: Path) -> bool:
    return until(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists(), STALL)
