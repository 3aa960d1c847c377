"""What takes over the terminal: a program in our place, and a terminal that is raw for a while and then as before."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributions import distribution

from vfioctl.cli.sessions.console import Line, how_it_ended, named
from vfioctl.cli.sessions.raw import ENDING, Signals, raw
from vfioctl.errors import VfioctlError
from vfioctl.plugin import manifest
from vfioctl.plugin.types import API_VERSION
from vfioctl.sessions import ConsoleSession

STATIC = f"""
name = "cave"
api = {API_VERSION}
summary = "Goes into places"

[[command]]
name = "cave enter"
help = "Go in."
target = "cave_pkg.verbs:enter"
effect = "read"
terminal = true
"""
VERBS = """
import click
from vfioctl.plugin import ProgramSession, Result

@click.command()
@click.argument("argv", nargs=-1, required=True)
def enter(argv):
    return Result(data={"argv": list(argv)}, session=ProgramSession(tuple(argv)))
"""
FILES = {"cave_pkg/__init__.py": "", "cave_pkg/plugin.py": "", "cave_pkg/verbs.py": VERBS,
         "cave_pkg/vfioctl-plugin.toml": STATIC}  # fmt: skip
RUN = """
import sys
sys.path.insert(0, {site!r})
from vfioctl.entry import dispatch
from vfioctl.compose import compose
sys.exit(dispatch(compose({root!r}), sys.argv[1:]))
"""


@pytest.fixture
def cave(tmp_path: Path, composition, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The start of a command line of a host with the plugin `cave`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    distribution(site, "vfioctl-cave", FILES, "[vfioctl]\ncave = cave_pkg.plugin\n")
    manifest.write(composition.paths, manifest.build())
    return [sys.executable, "-c", RUN.format(site=str(site), root=composition.paths.root), "cave", "enter"]


def run(argv: list[str], **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, **more)


@pytest.fixture
def terminal() -> Iterator[int]:
    ours, theirs = pty.openpty()
    yield theirs
    os.close(ours)
    os.close(theirs)


# A program


def test_a_program_takes_our_place_with_our_streams_environment_and_status(cave) -> None:
    script = 'read word; echo "$word $MOOD $1"; exit 7'
    ended = run([*cave, "--", "sh", "-c", script, "sh", "a b"], input="typed\n", env={**os.environ, "MOOD": "good"})
    assert (ended.stdout, ended.returncode) == ("typed good a b\n", 7), ended.stderr


def test_a_program_dies_of_a_closed_pipe_as_any_other(cave) -> None:
    """Python ignores SIGPIPE, and a program would inherit that."""
    ended = run([*cave, "--", "sh", "-c", "grep SigIgn /proc/self/status"])
    ignored = int(ended.stdout.split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1))


def test_a_program_that_there_is_not_is_named(cave) -> None:
    ended = run([*cave, "no-such-viewer"])
    assert ended.returncode == 1
    assert "[program.missing]" in ended.stderr


def test_json_describes_what_would_be_run_and_runs_nothing(cave, tmp_path: Path) -> None:
    ended = run([*cave, "touch", str(tmp_path / "made"), "--format", "json"])
    assert json.loads(ended.stdout)["data"] == {"argv": ["touch", str(tmp_path / "made")]}
    assert not (tmp_path / "made").exists()


def test_what_stands_behind_the_dashes_is_for_the_program(cave) -> None:
    ended = run([*cave, "--", "echo", "--format", "json"])
    assert (ended.stdout, ended.returncode) == ("--format json\n", 0)


def test_verb_list_says_that_it_is_for_a_terminal(cave) -> None:
    ended = run([*cave[:-2], "verb", "list", "--format", "json"])
    (row,) = [row for row in json.loads(ended.stdout)["data"]["verbs"] if row["name"] == "cave enter"]
    assert row["terminal_only"] is True


# A terminal


def test_a_raw_terminal_gives_each_key_and_is_as_before_after_a_failure(terminal: int) -> None:
    before = termios.tcgetattr(terminal)

    def fail() -> None:
        with raw(terminal):
            assert not termios.tcgetattr(terminal)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert termios.tcgetattr(terminal) == before


def test_what_is_no_terminal_is_left_alone() -> None:
    reading, writing = os.pipe()
    with raw(reading):
        os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_is_a_flag_for_a_while_and_then_what_it_was(number: int) -> None:
    inherited = signal.signal(number, signal.SIG_DFL)  # below nohup it is ignored
    try:
        with Signals().noted() as signals:
            signal.raise_signal(number)
            assert signals.number == number
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, inherited)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals().noted() as signals:
            signal.raise_signal(signal.SIGHUP)
            assert signals.number == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("key", "text"), [("\x1d", "^]"), ("\x01", "^A"), ("~", "~"), ("\x7f", "^?")])
def test_a_key_is_named_as_it_is_typed(key: str, text: str) -> None:
    assert named(key) == text


def test_a_pipe_has_no_escape_and_its_end_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr("vfioctl.cli.sessions.console.STDIN", reading)
    line = Line(ConsoleSession("web", "u", "local", "test:///default", "serial0"), None)
    os.write(writing, b"a\x1db")
    assert line.typed() == b"a\x1db"
    os.close(writing)
    assert (line.typed(), line.is_left) == (b"", True)
    os.close(reading)


class Answering:
    """A console whose node says so many times that the guest runs, and then that it does not."""

    def __init__(self, times: int) -> None:
        self.times = times

    def guest_runs(self) -> bool:
        self.times -= 1
        return self.times >= 0


def test_a_guest_that_is_on_its_way_off_when_its_line_closes_has_ended() -> None:
    session = ConsoleSession("web", "u", "local", "test:///default", "serial0")
    assert how_it_ended(session, Answering(2), left=False) == "Guest web is off, and its console has ended."


def test_a_line_that_closes_on_a_guest_that_goes_on_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vfioctl.cli.sessions.console.SETTLES", 0.1)
    session = ConsoleSession("web", "u", "local", "test:///default", "serial0")
    with pytest.raises(VfioctlError) as lost:
        how_it_ended(session, Answering(1_000), left=False)
    assert (lost.value.code, lost.value.state) == ("console.lost", "The guest runs on.")
