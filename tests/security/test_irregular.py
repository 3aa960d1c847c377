"""What is no plain file where one of ours should be: it is judged before it is opened, and nothing waits for it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hand_offs import GPU, GUEST, Stage
from lines import run_lines
from turns import in_turn

from vfioctl.errors import Irregular
from vfioctl.files import Lock, create, open_plain, read_json, read_text
from vfioctl.handoff.notes import guest_lock
from vfioctl.testing import snapshot
from vfioctl.testing.domains import UUID
from vfioctl.txn.resources import entry_name, file_name

PATIENCE = 30.0  # seconds; a hook or all of these commands take one or two
BUG = ("Traceback", "internal error")
COMMANDS = (
    ("plan", GUEST), ("status",), ("list",), ("recover",), ("history",), ("history", "last"), ("config", "validate"),
    ("config", "show", GUEST), ("hook", "verify"), ("plugins", "list"), ("gpu", "list"), ("disable", GUEST),
)  # fmt: skip


def a_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(os.path.dirname(path))  # sun_path has 108 bytes
        made.bind(os.path.basename(path))


def a_foreign_file(path: str) -> None:
    Path(path).write_text("")
    os.chown(path, 12345, 12345)


THINGS: dict[str, tuple[Callable[[str], object], str]] = {
    "fifo": (os.mkfifo, "it is a FIFO"),
    "socket": (a_socket, "it is a socket"),
    "device": (lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3)), "it is a character device"),
    "directory": (os.mkdir, "it is a directory"),
    "link": (lambda path: os.symlink("/dev/zero", path), ""),
    "foreign": (a_foreign_file, "to uid 12345"),
}


def records(stage: Stage) -> dict[str, str]:
    """Every file of ours that a start, a return or a command reads, by what it is."""
    paths = stage.host.paths
    marks = paths.guest_markers(GUEST)
    return {
        "guest file": paths.guest_config(GUEST),
        "host file": paths.host_config,
        "boot journal": paths.boot_journal(UUID),
        "disk journal": paths.disk_journal(UUID),
        "ledger": os.path.join(paths.ledger, entry_name("driver.bind", f"pci:{GPU}")),
        "stuck": os.path.join(paths.stuck, f"{GPU}.json"),
        "identity": paths.identity(UUID),
        "uuid": os.path.join(marks, "uuid"),
        "armed": os.path.join(marks, "armed"),
        "managed": os.path.join(paths.managed, f"{GPU}.json"),
        "history": os.path.join(paths.history, "20200101T000000-win11.json"),
        "last": paths.last(GUEST),
        "manifest": paths.manifest,
        "lock": guest_lock(paths, UUID).path,
        "resource lock": os.path.join(paths.locks, file_name(f"pci:{GPU}") + ".lock"),
        "generation": os.path.join(paths.run, "generation"),
        "undo.sh": os.path.join(marks, "undo.sh"),
    }


def plant(stage: Stage, what: str, thing: str) -> str:
    path = records(stage)[what]
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    here = os.getcwd()
    THINGS[thing][0](path)
    os.chdir(here)
    return path


# What a start does not read, mends itself, or takes for a warning only.
PASSED = {"uuid", "armed", "managed", "history", "last", "manifest", "undo.sh"}
REPLACED = ("manifest", "guest file", "generation")
KINDS = ("guest file", "boot journal", "ledger", "stuck", "lock", "manifest")
RECORDS = (
    "guest file", "host file", "boot journal", "disk journal", "ledger", "stuck", "identity", "uuid", "armed",
    "managed", "history", "last", "manifest", "lock", "resource lock", "generation", "undo.sh",
)  # fmt: skip
FIFOS = [("fifo", what) for what in RECORDS]
CASES = FIFOS + [(thing, what) for thing in THINGS if thing != "fifo" for what in KINDS]
ONE_OF_EACH = [(thing, what) for thing, what in CASES if what == "ledger" or (thing, what) == ("link", "lock")]


@pytest.mark.parametrize(("thing", "what"), in_turn(CASES, always=FIFOS + ONE_OF_EACH))
def test_a_start_never_waits_for_what_is_no_plain_file_and_names_it(stage: Stage, thing: str, what: str):
    path = plant(stage, what, thing)
    before = stage.look()
    argv = [*stage.host.argv, "hook", GUEST, "prepare", "begin", "-"]
    ended = subprocess.run(argv, input=stage.xml, capture_output=True, check=False, timeout=PATIENCE, cwd="/")
    said = ended.stderr.decode()
    assert not [bug for bug in BUG if bug in said], said
    if what in PASSED:
        return
    assert ended.returncode == (1 if what == "stuck" else 3), said
    assert path in said
    assert THINGS[thing][1] in said
    assert snapshot.difference(before, stage.look(), allowed=("var/l*", "run/vfioctl*")) == ()


@pytest.mark.parametrize("what", RECORDS)
def test_no_command_waits_for_a_fifo_where_a_record_should_be(stage: Stage, what: str):
    assert stage.start().status == 0
    path = plant(stage, what, "fifo")
    for words, (status, said) in run_lines(stage.host, COMMANDS, seconds=PATIENCE).items():
        assert not [bug for bug in BUG if bug in said], (words, said)
        assert status in (0, 1, 3), (words, said)
    assert what in REPLACED or stat.S_ISFIFO(os.lstat(path).st_mode)


@pytest.mark.parametrize("what", ["armed", "uuid", "ledger", "stuck", "resource lock", "generation", "history", "lock"])
def test_a_return_never_waits_for_a_fifo(stage: Stage, what: str):
    assert stage.start().status == 0
    plant(stage, what, "fifo")
    stage.guest_ends()
    argv = [*stage.host.argv, "hook", GUEST, "release", "end", "-"]
    ended = subprocess.run(argv, input=stage.xml, capture_output=True, check=False, timeout=PATIENCE, cwd="/")
    assert ended.returncode == 0
    assert not [bug for bug in BUG if bug in ended.stderr.decode()]


@pytest.mark.parametrize("thing", THINGS)
def test_it_is_judged_before_it_is_opened(tmp_path, monkeypatch, thing: str):
    """To open a watchdog starts it, to open a FIFO wakes its writer."""
    path = str(tmp_path / "record")
    THINGS[thing][0](path)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(Irregular) as refused:
        read_text(path)
    assert path in refused.value.message
    with pytest.raises(Irregular):
        Lock(path).acquire()


def test_what_becomes_a_fifo_between_the_look_and_the_open_is_not_waited_for(tmp_path, monkeypatch):
    path = str(tmp_path / "record")
    Path(path).write_text("{}")
    real = os.open

    def exchanged(name, *rest, **more):
        os.unlink(name)
        os.mkfifo(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(os, "open", exchanged)
    with pytest.raises(Irregular, match="FIFO"):
        read_json(path)


def test_a_planted_name_of_what_is_written_is_neither_followed_nor_waited_for(tmp_path):
    for make in (os.mkfifo, lambda path: os.symlink("/etc/passwd", path), lambda path: os.link("/etc/hostname", path)):
        path = str(tmp_path / "new")
        try:
            make(path)
        except OSError:
            continue  # another file system
        os.close(create(path))
        assert (os.path.isfile(path), os.path.getsize(path)) == (True, 0)
        os.unlink(path)


def test_a_file_without_end_is_read_to_its_limit(tmp_path, monkeypatch):
    path = tmp_path / "large"
    path.write_bytes(b"x" * 5000)
    monkeypatch.setattr("vfioctl.files.read_bytes.__kwdefaults__", {"follow": False, "foreign": False, "limit": 4096})
    with pytest.raises(Irregular, match="larger than 4 KiB"):
        read_text(str(path))


def test_links_are_followed_only_where_they_are_asked_for(tmp_path):
    (tmp_path / "there").write_text("text")
    os.symlink("there", tmp_path / "link")
    assert read_text(str(tmp_path / "link"), follow=True) == "text"
    with pytest.raises(Irregular, match="link"):
        open_plain(str(tmp_path / "link"))
