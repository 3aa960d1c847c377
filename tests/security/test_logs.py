"""The log goes nowhere when its directory is a link or somebody else's, and never keeps a card from coming home."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from access_lists import grant
from hand_offs import GPU, GUEST, Stage

from vfioctl.handoff.undo_sh import render
from vfioctl.kinds.common import driver_of
from vfioctl.log import Log
from vfioctl.paths import Paths
from vfioctl.testing.domains import UUID

NOBODY = 65534
SHELLS = [["dash"], ["bash", "--posix"], ["busybox", "sh"]]
SECONDS = 20.0  # what such an undo may take at most on a busy machine; without a trap a tenth of one
SECRET = "root's alone\n"
UNDO_LOG = f"undo-{UUID}.log"
Change = Callable[[Path], object]


def _link_of(owner: int) -> Change:
    """In the directory's place a link to one of root's, as a group that may write /var/log can leave it."""

    def change(directory: Path) -> None:
        elsewhere = directory.with_name("elsewhere")
        directory.rename(elsewhere)
        directory.symlink_to(elsewhere)
        os.chown(directory, owner, owner, follow_symlinks=False)

    return change


FOREIGN: dict[str, Change] = {
    "owner": lambda directory: os.chown(directory, NOBODY, NOBODY),
    "others": lambda directory: directory.chmod(0o777),
    "sticky": lambda directory: directory.chmod(0o1777),
    "group": lambda directory: directory.chmod(0o770),
    "list": lambda directory: grant(directory, NOBODY),
    "their link": _link_of(NOBODY),
    "link": _link_of(0),
}
TRAPS: dict[str, Callable[[Path, Path], object]] = {
    "link": lambda path, target: path.symlink_to(target),
    "link to nothing": lambda path, target: path.symlink_to(f"{target}.new"),
    "hard link": lambda path, target: os.link(target, path),
    "pipe": lambda path, _: os.mkfifo(path),
    "directory": lambda path, _: path.mkdir(),
}


@pytest.fixture
def target(place: Path) -> Path:
    """A file of root's that a log must not get into."""
    made = place / "target"
    made.write_text(SECRET)
    return made


@pytest.fixture
def logs(stage: Stage) -> Path:
    """The directory of our logs; whoever is first there may have filled it."""
    made = Path(stage.host.paths.log)
    made.mkdir(mode=0o700)
    return made


def without_python(stage: Stage) -> None:
    """The virtual environment is gone while the guest has the card: only the shim and undo.sh are left."""
    shim = Path(stage.host.paths.shim)
    shim.write_text(shim.read_text().replace("python=", "python=/nowhere"))


def comes_home(stage: Stage) -> bool:
    stage.guest_ends()
    assert stage.libvirt.call(GUEST, "release", "end", stage.xml).status == 0
    return driver_of(stage.host.paths, GPU) == "igb"


def undo(place: Path, shell: list[str]) -> Path:
    """Runs the undo of a guest with nothing to undo; returns the directory that its log belongs in."""
    script = place / "undo.sh"
    script.write_text(render(GUEST, UUID, (), Paths(str(place))))
    done = subprocess.run([*shell, script], cwd="/", capture_output=True, check=False, timeout=SECONDS, env={})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    return Path(Paths(str(place)).log)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("foreign", FOREIGN)
def test_the_undo_writes_no_log_into_a_directory_of_somebody_else(
    place: Path, target: Path, foreign: str, trap: str, shell: list[str]
):
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    directory = Path(Paths(str(place)).log)
    directory.mkdir(parents=True)
    TRAPS[trap](directory / UNDO_LOG, target)
    FOREIGN[foreign](directory)
    undo(place, shell)
    assert target.read_text() == SECRET
    assert not target.with_name("target.new").exists()


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_the_undo_makes_its_log_in_a_directory_of_roots(place: Path, shell: list[str]):
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    log = undo(place, shell) / UNDO_LOG
    assert "ended with status 0" in log.read_text()
    assert (log.stat().st_mode & 0o777, log.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(("foreign", "trap"), [("owner", "pipe"), ("list", "link"), ("their link", "link")])
def test_no_log_of_somebody_else_keeps_a_card_from_coming_home(
    stage: Stage, logs: Path, target: Path, foreign: str, trap: str
):
    assert stage.start().status == 0
    without_python(stage)
    shutil.rmtree(logs)
    logs.mkdir()
    TRAPS[trap](logs / UNDO_LOG, target)
    FOREIGN[foreign](logs)
    assert comes_home(stage)
    assert target.read_text() == SECRET


@pytest.mark.parametrize("trap", [trap for trap in TRAPS if trap != "hard link"])
def test_the_undo_follows_no_link_and_waits_for_no_pipe_in_a_directory_of_roots(
    stage: Stage, logs: Path, target: Path, trap: str
):
    assert stage.start().status == 0
    without_python(stage)
    TRAPS[trap](logs / UNDO_LOG, target)
    assert comes_home(stage)
    assert target.read_text() == SECRET


@pytest.mark.parametrize("trap", ["link", "pipe"])
@pytest.mark.parametrize("foreign", ["owner", "list", "their link"])
def test_rescue_neither_waits_for_nor_shows_a_log_of_somebody_else(
    stage: Stage, logs: Path, target: Path, foreign: str, trap: str
):
    assert stage.start().status == 0
    stage.guest_ends()
    TRAPS[trap](logs / UNDO_LOG, target)
    FOREIGN[foreign](logs)
    ended = stage.command("rescue", "--yes")
    assert (ended.returncode, driver_of(stage.host.paths, GPU)) == (0, "igb")
    assert SECRET.strip() not in ended.stdout
    assert target.read_text() == SECRET


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("foreign", FOREIGN)
def test_python_writes_no_log_into_a_directory_of_somebody_else(place: Path, target: Path, foreign: str, trap: str):
    paths = Paths(str(place))
    directory = Path(paths.log)
    directory.mkdir(parents=True)
    TRAPS[trap](directory / "vfioctl.log", target)
    FOREIGN[foreign](directory)
    log = Log(paths, stderr=None)
    log.error("It failed.")
    assert (log.lost, target.read_text()) == (1, SECRET)
    assert not target.with_name("target.new").exists()


def test_a_directory_that_is_exchanged_for_a_link_after_it_was_judged_gets_nothing(place: Path, monkeypatch):
    """A group that may write /var/log, as syslog's on Ubuntu, can do so at any moment."""
    from vfioctl import log as module

    paths, elsewhere = Paths(str(place)), place / "elsewhere"
    directory = Path(paths.log)
    directory.mkdir(parents=True)
    elsewhere.mkdir()
    judge = module.writable_open

    def judged(fd: int, path: str) -> str | None:
        why = judge(fd, path)
        directory.rename(place / "moved")
        directory.symlink_to(elsewhere)
        return why

    monkeypatch.setattr(module, "writable_open", judged)
    Log(paths, stderr=None).error("It failed.")
    assert list(elsewhere.iterdir()) == []
    assert (place / "moved/vfioctl.log").exists()
