"""The log: it reaches every place that takes it, and nothing that happens to it reaches the caller."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfioctl import log as module
from vfioctl.log import Log, Priority, plain
from vfioctl.paths import Paths


@pytest.fixture
def paths(tmp_path) -> Paths:
    return Paths(str(tmp_path))


def lines(paths: Paths, name: str = "vfioctl.log") -> list[dict]:
    with open(os.path.join(paths.log, name), encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def test_a_message_is_one_json_line_with_its_fields(paths):
    Log(paths, stderr=None).about(guest="win11").error("It failed.", step="bind", time="fake", message="fake")
    (line,) = lines(paths)
    assert abs(line.pop("time") - time.time()) < 60
    assert line == {"priority": "error", "pid": os.getpid(), "message": "It failed.", "guest": "win11", "step": "bind"}


def test_stderr_gets_what_is_urgent_and_stdout_nothing(paths, capfd):
    log = Log(paths)
    log.info("quiet")
    log.warning("loud")
    Log(paths, loudest=Priority.DEBUG).debug("asked for")
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "vfioctl: loud\nvfioctl: asked for\n")
    assert len(lines(paths)) == 3


def test_names_from_hardware_cannot_command_the_terminal(paths, capfd):
    Log(paths).error("held by \x1b]0;owned\x07\x9b2J\n\u202egnp.exe")
    shown = capfd.readouterr().err
    assert shown == "vfioctl: held by \\x1b]0;owned\\x07\\x9b2J \\u202egnp.exe\n"
    assert lines(paths)[0]["message"] == shown[len("vfioctl: ") : -1]


@given(st.text(st.characters(exclude_categories=())))
def test_plain_text_has_no_control_characters_and_can_always_be_encoded(text):
    assert all(char.isprintable() or char.isspace() or ord(char) >= 0xA0 for char in plain(text))
    assert not set(plain(text)) & {"\n", "\r", "\t", "\x1b", "\u2028", "\u202e"}
    plain(text).encode()


def test_plain_leaves_ordinary_text_of_any_language_alone():
    assert plain("größe 窓 🖥 «ok»") == "größe 窓 🖥 «ok»"


def test_a_closed_stderr_costs_only_stderr(paths):
    log = Log(paths, stderr=9999)
    log.error("still here")
    assert [line["message"] for line in lines(paths)] == ["still here"]
    assert log.lost == 1


def test_a_reader_that_has_gone_costs_only_stderr(paths):
    reading, writing = os.pipe()
    os.close(reading)
    log = Log(paths, stderr=writing)
    log.error("still here")
    os.close(writing)
    assert (len(lines(paths)), log.lost) == (1, 1)


def test_a_reader_that_does_not_read_cannot_block_us(paths):
    reading, writing = os.pipe()
    log = Log(paths, stderr=writing)
    for _ in range(40):
        log.error("x" * 4000)
    os.close(reading)
    os.close(writing)
    assert log.lost > 0
    assert len(lines(paths)) == 40


def test_a_full_disk_costs_only_the_file(paths, capfd):
    os.makedirs(paths.log)
    os.symlink("/dev/full", os.path.join(paths.log, "vfioctl.log"))
    Log(paths).error("disk full")
    assert capfd.readouterr().err == "vfioctl: disk full\n"


def test_a_log_directory_that_is_none_costs_only_the_file(paths, tmp_path, capfd):
    (tmp_path / "var").write_text("")
    log = Log(paths)
    log.error("no place")
    assert (capfd.readouterr().err, log.lost) == ("vfioctl: no place\n", 1)


def test_a_fifo_in_place_of_the_file_cannot_block_us(paths):
    os.makedirs(paths.log)
    os.mkfifo(os.path.join(paths.log, "vfioctl.log"))
    log = Log(paths, stderr=None)
    log.error("nobody reads")
    assert log.lost == 1


def test_a_field_that_json_does_not_know_is_written_as_text(paths):
    Log(paths, stderr=None).error("odd", thing={1, 2} - {2}, raw=b"x")
    assert lines(paths)[0]["thing"] == "{1}"


def test_the_file_is_rotated_by_size_and_old_ones_go(paths, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    log = Log(paths, stderr=None)
    for number in range(61):
        log.info(f"{number:03} {'x' * 100}")
    kept = sorted(os.listdir(paths.log))
    assert kept == ["vfioctl.log", "vfioctl.log.1", "vfioctl.log.2", "vfioctl.log.3"][: len(kept)]
    assert len(kept) >= module.ROTATIONS
    assert all(os.path.getsize(os.path.join(paths.log, name)) < 1300 for name in kept)
    newest = [line["message"][:3] for name in reversed(kept) for line in lines(paths, name)]
    assert newest == sorted(newest)
    assert newest[-1] == "060"
    assert log.lost == 0


def test_the_file_is_for_root_only(paths):
    Log(paths, stderr=None).error("secret")
    assert os.stat(os.path.join(paths.log, "vfioctl.log")).st_mode & 0o777 == 0o600


@pytest.fixture
def journald(paths):
    """A socket in the place of journald's."""
    os.makedirs(paths.at("run/systemd/journal"))
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(paths.at("run/systemd/journal/socket"))
    server.settimeout(5)
    yield server
    server.close()


def test_journald_gets_priority_and_fields(paths, journald):
    Log(paths, stderr=None).about(guest="win\n11").error("It failed.\nPRIORITY=7")
    assert journald.recv(65536).decode().splitlines() == [
        "MESSAGE=It failed. PRIORITY=7", "PRIORITY=3", "SYSLOG_IDENTIFIER=vfioctl", "VFIOCTL_GUEST=win 11",
    ]  # fmt: skip


def test_a_journald_that_does_not_read_cannot_block_us(paths, journald):
    log = Log(paths, stderr=None)
    for _ in range(2000):
        log.error("x" * 2000)
    assert log.lost > 0
    assert len(lines(paths)) > 0


def test_a_journald_that_has_gone_costs_only_the_journal(paths, journald):
    journald.close()
    log = Log(paths, stderr=None)
    log.error("alone")
    assert (len(lines(paths)), log.lost) == (1, 1)


def test_while_another_process_rotates_we_go_on_writing(paths, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    log = Log(paths, stderr=None)
    log.info("small")
    with open(os.path.join(paths.log, "vfioctl.log")) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        log.info("x" * 200)
        log.info("x" * 200)
    assert (os.listdir(paths.log), len(lines(paths)), log.lost) == (["vfioctl.log"], 3, 0)
