"""file.fetch from a server on the loopback."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import stat
import time

import pytest
from downloads import CONTENT, TAG, serving
from fetches import PATH, content, do, fetch, names, ranges
from step_builders import planned, put

from vfioctl.errors import DeadlineExceeded, StepFailed, StepRefused
from vfioctl.kinds.files import download, part, place, web
from vfioctl.kinds.files.file_fetch import KIND
from vfioctl.kinds.files.marks import MARK
from vfioctl.txn.step import State, StepProposal

HALF = len(CONTENT) // 2


@pytest.fixture(params=["marks", "no marks"])
def on(request, machine, monkeypatch):
    """A file system that keeps extended attributes, and one that does not."""
    if request.param == "no marks":
        take_marks_away(monkeypatch)
    return machine


def take_marks_away(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    for name in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, name, refuse)


def fails(step, machine, code, kind=StepFailed):
    """The error, after which nothing is left and nothing is to be undone."""
    with pytest.raises(kind) as caught:
        do(step, machine)
    assert caught.value.code == code
    assert names(machine) == []
    assert KIND.probe(step, machine) is State.BEFORE
    return caught.value.message


def test_a_file_is_fetched_and_removed_again(on, server):
    step = fetch(on, server, mode="0640")
    assert KIND.probe(step, on) is State.BEFORE
    do(step, on)
    assert content(on) == CONTENT
    assert stat.S_IMODE(os.stat(on.paths.at(PATH)).st_mode) == 0o640
    assert names(on) == ["image.qcow2"]
    assert KIND.probe(step, on) is State.AFTER
    assert KIND.undo(step, on) is None
    assert names(on) == []
    assert "not there" in KIND.undo(step, on)


def test_what_is_left_on_the_file_is_our_mark_alone(machine, server):
    do(fetch(machine, server), machine)
    assert [name for name in os.listxattr(machine.paths.at(PATH)) if name.startswith("user.")] == [MARK]


def test_it_says_how_far_it_is(machine, server):
    said = []
    do(fetch(machine, server), machine.watched(lambda *told: said.append(told), lambda: None))
    assert said[-1] == (len(CONTENT), len(CONTENT), "bytes")
    assert [done for done, _, _ in said] == sorted({done for done, _, _ in said})


def test_of_a_content_whose_size_nobody_tells_it_says_what_has_come(machine, server):
    server.chunked = True
    said = []
    do(fetch(machine, server), machine.watched(lambda *told: said.append(told), lambda: None))
    assert said[-1] == (len(CONTENT), 0, "bytes")
    assert content(machine) == CONTENT


def test_a_length_of_more_digits_than_any_file_needs_counts_as_not_told(machine, server):
    server.lies = {"Content-Length": "9" * 5000}
    do(fetch(machine, server), machine)
    assert content(machine) == CONTENT


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_where_it_is_cut_off_it_goes_on(on, server, chunked):
    server.cut, server.chunked = [HALF, HALF // 2], chunked
    do(fetch(on, server), on)
    assert content(on) == CONTENT
    assert ranges(server) == [None, f"bytes={HALF}-", f"bytes={HALF + HALF // 2}-"]
    assert server.asked[1]["If-Range"] == TAG


@pytest.mark.parametrize("why", ["no ranges", "weak", "no validator"])
def test_a_server_that_cannot_go_on_starts_over(machine, server, why):
    server.cut, server.ranges = [HALF], why != "no ranges"
    server.validators = {"weak": {"ETag": 'W/"first"'}, "no validator": {}}.get(why, server.validators)
    do(fetch(machine, server), machine)
    assert content(machine) == CONTENT
    assert ranges(server)[1] == (f"bytes={HALF}-" if why == "no ranges" else None)


def test_the_time_of_its_last_change_is_a_validator_too(machine, server):
    server.cut, server.validators = [HALF], {"Last-Modified": "Sat, 28 Nov 2026 10:00:00 GMT"}
    do(fetch(machine, server), machine)
    assert ranges(server)[1] == f"bytes={HALF}-"
    assert content(machine) == CONTENT


def renewing(server, content, validators):
    """What the server does once it has given some of what it had before."""

    def renew():
        server.content, server.validators = content, validators

    return renew


def test_a_content_that_was_renewed_in_between_is_fetched_whole(machine, server):
    renewed = CONTENT[::-1]
    server.cut, server.then = [HALF], [renewing(server, renewed, {"ETag": '"second"'})]
    do(fetch(machine, server, sha256=hashlib.sha256(renewed).hexdigest()), machine)
    assert content(machine) == renewed
    assert server.asked[1]["If-Range"] == TAG


def test_so_it_is_where_the_server_sends_the_rest_of_another_content(machine, server):
    renewed = CONTENT[::-1]
    server.cut, server.heeds = [HALF], False
    server.then = [renewing(server, renewed, {"ETag": '"second"'})]
    do(fetch(machine, server, sha256=hashlib.sha256(renewed).hexdigest()), machine)
    assert content(machine) == renewed
    assert ranges(server) == [None, f"bytes={HALF}-", None]


@pytest.mark.usefixtures("impatient")
def test_a_server_that_brings_nothing_more_is_given_up(machine, server):
    server.cut = [HALF, *[0] * 99]
    assert f"after {HALF} bytes" in fails(fetch(machine, server), machine, "fetch.cut_off")
    assert len(server.asked) > 2


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_gone_half_way_is_given_up_with_the_reason(machine, server):
    server.cut, server.then = [HALF], [server.leave]
    assert "Connection refused" in fails(fetch(machine, server), machine, "fetch.cut_off")


@pytest.mark.usefixtures("impatient")
def test_a_server_that_sends_next_to_nothing_is_given_up(machine, server):
    server.drip = 0.05
    said = fails(fetch(machine, server), machine, "fetch.stalled", DeadlineExceeded)
    assert "less than 1000 bytes a second" in said
    assert server.sent[0] < 100


def test_so_is_one_that_sends_a_byte_and_cuts_off_each_time(machine, server, monkeypatch):
    monkeypatch.setattr(web, "STALL", 1.0)
    monkeypatch.setattr(download, "LEAST", 1 << 20)  # more than this computer makes connections in a second
    server.cut = [1] * 20_000
    fails(fetch(machine, server), machine, "fetch.cut_off")
    assert set(server.sent) == {1}


@pytest.mark.usefixtures("impatient")
def test_headers_without_an_end_are_not_waited_for(machine, server):
    server.drip_head = 0.05
    assert "nothing for 0.6 s" in fails(fetch(machine, server), machine, "fetch.stalled", DeadlineExceeded)


def test_an_error_that_passes_half_way_is_waited_for(machine, server):
    server.cut, server.statuses = [HALF], [200, 503, 502]
    do(fetch(machine, server), machine)
    assert content(machine) == CONTENT
    assert len(server.asked) == 4


@pytest.mark.usefixtures("impatient")
def test_more_that_is_claimed_than_comes_is_cut_off(machine, server):
    server.claims, server.ranges = 100, False
    fails(fetch(machine, server), machine, "fetch.cut_off")


def test_less_that_is_claimed_than_there_is_is_found_out(machine, server):
    server.claims = -100
    fails(fetch(machine, server), machine, "fetch.checksum")


def test_another_checksum_leaves_nothing(on, server):
    said = fails(fetch(on, server, sha256="0" * 64), on, "fetch.checksum")
    assert server.sha256 in said


@pytest.mark.parametrize("status", [404, 403, 500, 503])
def test_an_error_of_the_server_is_told(machine, server, status):
    server.statuses = [status]
    assert str(status) in fails(fetch(machine, server), machine, "fetch.status")


def test_a_server_that_is_not_there_is_told_without_what_may_be_secret(machine, server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/image?token=hunter2"
    said = fails(fetch(machine, server, url=url), machine, "fetch.unreachable")
    assert "Connection refused" in said
    assert "hunter2" not in said


def test_a_redirection_is_followed(machine, server):
    with serving() as other:
        other.location = server.url
        do(fetch(machine, server, url=other.url), machine)
    assert content(machine) == CONTENT


def test_it_goes_on_behind_a_redirection_too(machine, server):
    server.cut = [HALF]
    with serving() as other:
        other.location = server.url
        do(fetch(machine, server, url=other.url), machine)
        assert ranges(other) == [None, f"bytes={HALF}-"]
    assert content(machine) == CONTENT
    assert ranges(server) == [None, f"bytes={HALF}-"]


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://127.0.0.1/x", "itself"])
def test_a_redirection_to_anything_else_is_not(machine, server, where):
    server.location = server.url if where == "itself" else where
    fails(fetch(machine, server), machine, "fetch.redirected")


@pytest.mark.parametrize("chunked", [False, True], ids=["told", "not told"])
def test_more_than_is_allowed_is_refused(machine, server, chunked):
    server.chunked = chunked
    fails(fetch(machine, server, limit=HALF), machine, "fetch.too_large")


@pytest.mark.usefixtures("impatient")
def test_a_server_that_falls_silent_ends_it(machine, server):
    server.half_way()
    fails(fetch(machine, server), machine, "fetch.stalled", DeadlineExceeded)


def test_it_ends_at_once_where_it_has_to_stop(on, server):
    server.half_way()

    class CancelledError(StepFailed):
        pass

    def check():
        if server.reached.is_set():
            raise CancelledError("operation.cancelled", "It was cancelled.")

    step, began = fetch(on, server), time.monotonic()
    KIND.guard(step, on)
    with pytest.raises(CancelledError):
        KIND.apply(step, on.watched(lambda *_: None, check))
    assert names(on) == []
    assert time.monotonic() - began < web.STALL / 2


def test_a_disk_that_runs_full_is_named(machine, server, monkeypatch):
    def full(_fd, _data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(part, "write_all", full)
    assert "No space left on device" in fails(fetch(machine, server), machine, "file.write_failed")


def test_a_disk_without_room_is_told_before_the_first_byte(machine, server, monkeypatch):
    class Room:
        f_bavail, f_frsize = 1, 4096

    monkeypatch.setattr(os, "fstatvfs", lambda _fd: Room)
    assert "4096" in fails(fetch(machine, server), machine, "fetch.no_room")


def test_a_file_that_is_there_is_found_and_refused(machine, server):
    step = fetch(machine, server)
    put(machine.paths.at(PATH), "precious")
    found = KIND.check(StepProposal("x", "file.fetch", step.params, "a test"), machine.host())
    assert [finding.code for finding in found] == ["file.exists"]
    with pytest.raises(StepRefused):
        KIND.guard(step, machine)
    assert server.asked == []
    assert KIND.probe(step, machine) is State.FOREIGN
    assert content(machine) == b"precious"


def test_a_file_that_appears_while_we_fetch_stays(on, server, monkeypatch):
    link = os.link

    def late(*given, **fds):
        put(on.paths.at(PATH), "precious")
        link(*given, **fds)

    monkeypatch.setattr(place.os, "link", late)
    step = fetch(on, server)
    with pytest.raises(StepRefused) as caught:
        do(step, on)
    assert caught.value.code == "file.exists"
    assert names(on) == ["image.qcow2"]
    assert KIND.probe(step, on) is State.FOREIGN
    assert "not ours" in KIND.undo(step, on)
    assert content(on) == b"precious"


def test_without_marks_and_checksum_nothing_is_fetched(machine, server, monkeypatch):
    take_marks_away(monkeypatch)
    step = planned(machine, "file.fetch", {"url": server.url, "path": PATH})
    with pytest.raises(StepRefused) as caught:
        KIND.apply(step, machine)
    assert caught.value.code == "fetch.unmarked"
    assert server.asked == []
    assert names(machine) == []


@pytest.mark.parametrize("wrong", [
    {"url": "ftp://host/x"}, {"url": "file:///etc/passwd"}, {"url": "https://user:secret@host/x"}, {"url": "https:///x"},
    {"url": "https://host/a b"}, {"url": "http://host/x", "sha256": "short"}, {"path": "image"}, {"limit": -1},
], ids=str)  # fmt: skip
def test_parameters_that_cannot_be_meant_are_refused(wrong):
    assert KIND.unfit({"url": "https://host/x", "path": PATH, **wrong})


def test_only_https_may_do_without_a_checksum():
    assert KIND.unfit({"url": "https://host/x", "path": PATH}) == ""
    assert "sha256 is missing" in KIND.unfit({"url": "http://127.0.0.1/x", "path": PATH})
