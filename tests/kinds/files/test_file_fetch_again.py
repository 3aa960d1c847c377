"""file.fetch that was killed, and goes on with what it has left: only with that, and with nothing that is not sure."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os

import pytest
from downloads import CONTENT, PIECE, TAG
from fetches import PART, PATH, content, do, fetch, kill_half_way, names, ranges
from step_builders import OPERATION, put

from vfioctl.errors import StepFailed
from vfioctl.kinds.files import partial
from vfioctl.kinds.files.file_fetch import KIND
from vfioctl.kinds.files.marks import MARK
from vfioctl.kinds.files.part import SYNCED, VALIDATOR
from vfioctl.txn.step import State

HALF = len(CONTENT) // 2
LAST = len(CONTENT) - PIECE


def left(machine, data=CONTENT[:HALF], *, boot="", synced=0, author=OPERATION):
    """A part as a process of this boot, or of another one, has left it."""
    part = machine.paths.at("var/lib", PART)
    with open(part, "wb") as file:
        file.write(data)
    os.chmod(part, 0o600)
    noted = {MARK: author, VALIDATOR: TAG, SYNCED: f"{boot or machine.host().boot_id()} {synced}"}
    for name, text in noted.items():
        os.setxattr(part, name, text.encode())
    return part


def begins_anew(machine, server):
    do(fetch(machine, server), machine)
    assert content(machine) == CONTENT
    assert names(machine) == ["image.qcow2"]
    assert ranges(server) == [None]


def test_what_a_killed_process_has_left_is_between_and_undone(machine, server):
    step = fetch(machine, server)
    kill_half_way(machine, server, step)
    assert names(machine) == [PART]
    assert KIND.probe(step, machine) is State.BETWEEN
    KIND.undo(step, machine)
    assert names(machine) == []
    assert KIND.probe(step, machine) is State.BEFORE


def test_beside_what_a_killed_process_has_left_a_foreign_file_stays(machine, server):
    step = fetch(machine, server)
    kill_half_way(machine, server, step)
    put(machine.paths.at(PATH), "precious")
    assert "not ours" in KIND.undo(step, machine)
    assert names(machine) == ["image.qcow2"]
    assert KIND.probe(step, machine) is State.FOREIGN


@pytest.mark.parametrize("at", [0, PIECE, HALF, LAST])
def test_what_a_killed_process_has_left_is_gone_on_with(machine, server, at):
    step = fetch(machine, server)
    done = os.path.getsize(kill_half_way(machine, server, step, at))
    assert done >= at
    KIND.apply(step, machine)
    assert content(machine) == CONTENT
    assert ranges(server)[-1] == (f"bytes={done}-" if done else None)  # the killed one may have asked for nothing yet
    assert server.sent[-1] == len(CONTENT) - done


def test_nothing_of_a_killed_process_goes_on_writing(machine, server):
    part = kill_half_way(machine, server, fetch(machine, server))
    with open(part, "rb") as file:
        assert partial.until(lambda: is_free(file), 5)
        length = os.path.getsize(part)
        assert length < len(CONTENT)


def is_free(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def test_a_part_that_is_whole_already_is_taken_as_it_is(machine, server):
    left(machine, CONTENT)
    do(fetch(machine, server), machine)
    assert content(machine) == CONTENT
    assert ranges(server) == [f"bytes={len(CONTENT)}-"]
    assert server.sent == []


def test_what_was_renewed_since_is_begun_anew(machine, server):
    left(machine)
    server.content, server.validators = CONTENT[::-1], {"ETag": '"second"'}
    do(fetch(machine, server), machine)
    assert content(machine) == server.content
    assert server.sent == [len(CONTENT)]


def test_what_turns_out_to_be_wrong_is_begun_anew_once(machine, server):
    left(machine, bytes(HALF))
    do(fetch(machine, server), machine)
    assert content(machine) == CONTENT
    assert ranges(server) == [f"bytes={HALF}-", None]


def test_what_is_wrong_then_too_is_told(machine, server):
    left(machine, bytes(HALF))
    with pytest.raises(StepFailed) as caught:
        do(fetch(machine, server, sha256="0" * 64), machine)
    assert caught.value.code == "fetch.checksum"
    assert hashlib.sha256(CONTENT).hexdigest() in caught.value.message
    assert ranges(server) == [f"bytes={HALF}-", None]
    assert names(machine) == []


def test_after_a_power_cut_only_what_was_on_the_disk_is_relied_on(machine, server):
    left(machine, CONTENT[:PIECE] + bytes(HALF), boot="another", synced=PIECE)
    do(fetch(machine, server), machine)
    assert content(machine) == CONTENT
    assert ranges(server) == [f"bytes={PIECE}-"]


@pytest.mark.parametrize("who", ["a link", "a second name", "another owner", "others may write", "another operation"])
def test_what_is_not_ours_for_sure_is_not_gone_on_with(machine, server, who):
    part, outside = left(machine, author="00000000" if who == "another operation" else OPERATION), machine.paths.at("o")
    if who == "a link":
        os.rename(part, outside)
        os.symlink(outside, part)
    elif who == "a second name":
        os.link(part, outside)
    elif who == "another owner":
        os.chown(part, 65534, 65534)
    elif who == "others may write":
        os.chmod(part, 0o666)
    begins_anew(machine, server)
    if os.path.exists(outside):
        assert content(machine, "o") == CONTENT[:HALF]


def test_nor_is_one_that_a_child_which_was_left_behind_may_still_write_to(machine, server, monkeypatch):
    monkeypatch.setattr(partial, "ENDING", 0.1)
    with open(left(machine), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        begins_anew(machine, server)
        file.write(b"late")
    assert content(machine) == CONTENT


def test_where_no_notes_are_kept_it_begins_anew(machine, server, monkeypatch):
    left(machine)

    def refuse(*_, **__):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    for name in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, name, refuse)
    begins_anew(machine, server)


def test_a_file_that_has_come_and_was_not_said_to_have_is_taken_as_it_is(machine, server):
    step = fetch(machine, server)
    do(step, machine)
    os.link(machine.paths.at(PATH), machine.paths.at("var/lib", PART))
    assert do(step, machine) == "it has come already"
    assert names(machine) == ["image.qcow2"]
    assert len(server.asked) == 1


def test_a_link_in_the_place_of_the_part_is_not_followed(machine, server):
    victim = put(machine.paths.at("var/victim"), "precious")
    os.symlink(victim, machine.paths.at("var/lib", PART))
    do(fetch(machine, server), machine)
    assert content(machine, "/var/victim") == b"precious"
    assert not os.path.islink(machine.paths.at(PATH))
