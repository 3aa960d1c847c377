"""Fills a part over HTTP, and goes on where it was cut off. Knows no step; whose part it is others decide.

It waits for a server and a drive that may be gone: see aside.py.
"""

from __future__ import annotations

import os
from contextlib import closing
from http.client import HTTPException
from urllib.error import HTTPError

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.kinds.files import web
from vfioctl.kinds.files.addresses import shown
from vfioctl.kinds.files.part import SERVER
from vfioctl.kinds.files.web import PARTIAL
from vfioctl.txn.clock import Deadline
from vfioctl.wait import Backoff

if TYPE_CHECKING:
    from collections.abc import Generator
    from email.message import Message
    from http.client import HTTPResponse

    from vfioctl.kinds.files.part import Part

PAUSE = 2.0  # the longest one between two connections
CHUNK = 1 << 20
LEAST = 1000  # bytes a second, as dnf.conf(5) has it by `minrate`
UNSATISFIABLE = 416
PASSING = (429, 502, 503, 504)  # errors that may be over in a moment


class CutOffError(Exception):
    """The connection ended before the content did; the text says why, where that is known."""


class Pace:
    """Whether enough comes to wait for the rest: LEAST bytes a second over STALL seconds."""

    def __init__(self) -> None:
        self.is_enough = True
        self.came, self.end = 0, Deadline(web.STALL)

    def add(self, count: int) -> None:
        self.came += count
        if not self.end.left:
            self.is_enough = self.came >= LEAST * web.STALL
            self.came, self.end = 0, Deadline(web.STALL)


def download(url: str, part: Part, called: str, *, limit: int) -> None:
    """Fill `part`, of what is `called` so, with what `url` gives.

    What was begun by an earlier process and turns out to be wrong is begun anew once. Raises StepFailed:
    fetch.unreachable, fetch.untrusted, fetch.status, fetch.redirected, fetch.too_large, fetch.no_room, fetch.cut_off,
    fetch.checksum; DeadlineExceeded: fetch.stalled; OSError when it cannot be written.
    """
    part.take_up()
    was_begun = bool(part.done)
    _fill(url, part, limit)
    if was_begun and part.wrong:
        part.restart()
        _fill(url, part, limit)
    if said := part.wrong:
        hint = "Look whether the file or its checksum was renewed."
        raise StepFailed("fetch.checksum", f"What came for {called} has {said}.", hints=(hint,))


def _fill(url: str, part: Part, limit: int) -> None:
    pauses, pace, most = iter(Backoff(web.STALL, longest=PAUSE)), Pace(), part.done
    while True:
        before = part.came
        try:
            return _go_on(url, part, limit)
        except CutOffError as error:
            pace.add(part.came - before)
            if part.done > most and pace.is_enough:
                pauses, most = iter(Backoff(web.STALL, longest=PAUSE)), part.done
            elif not next(pauses, 0.0):
                said = f"{shown(url)} is cut off after {part.done} bytes, and hardly more came in {web.STALL:g} s"
                raise StepFailed("fetch.cut_off", f"{said}{f': {error}' if str(error) else ''}.") from error
            part.at(SERVER)


def _go_on(url: str, part: Part, limit: int) -> None:
    """Take what one connection brings. Raises CutOffError when more is missing."""
    pace = Pace()
    with closing(_chunks(url, part, limit)) as chunks:
        for chunk in chunks:
            part.add(chunk)
            _must_be_allowed(url, part.done, limit)
            pace.add(len(chunk))
            if not pace.is_enough:
                said = f"{shown(url)} has sent less than {LEAST} bytes a second for {web.STALL:g} s."
                raise DeadlineExceeded("fetch.stalled", said)


def _chunks(url: str, part: Part, limit: int) -> Generator[bytes, None, None]:
    """What is missing of the part. Raises CutOffError when there is more."""
    response = _answer(url, part)
    if response is None:
        return
    with response:
        _align(url, part, response)
        _must_be_allowed(url, part.total, limit)
        _must_have_room(url, part)
        part.at(SERVER)
        while chunk := _read(url, response):
            yield chunk
    if part.total and part.done < part.total:
        raise CutOffError


def _answer(url: str, part: Part) -> HTTPResponse | None:
    """The server's answer; None when the part is whole already."""
    part.at(SERVER)
    if part.done and not part.validator:
        part.restart()
    headers = {"Range": f"bytes={part.done}-", "If-Range": part.validator} if part.done else {}
    try:
        return web.answer(url, headers)
    except HTTPError as error:
        with error:
            _must_be_whole(url, part, error)
        return None
    except web.UnreachableError as error:
        if part.done:
            raise CutOffError(error.why) from error
        raise
    except (OSError, HTTPException) as error:
        raise CutOffError from error


def _must_be_whole(url: str, part: Part, error: HTTPError) -> None:
    """Judge an answer that brings nothing: where nothing is missing, all is well."""
    if part.done and error.code in PASSING:
        raise CutOffError(f"{error.code} {error.reason}") from error
    if error.code != UNSATISFIABLE or not part.done:
        raise web.refusing(url, error) from error
    if web.range_of(error.headers) != (None, part.done):
        part.restart()
        raise CutOffError from error


def _align(url: str, part: Part, response: HTTPResponse) -> None:
    """Go on after what is there when the server does, and start over when it sends everything, or of something else."""
    start, total = web.range_of(response.headers)
    name = _validator(response.headers)
    if response.status == PARTIAL and start != part.done:
        raise StepFailed("fetch.status", f"{shown(url)} sends another part than it was asked for.")
    if response.status != PARTIAL:
        part.restart()
        part.note(name)
        total = web.length(response.headers)
    elif part.done and name not in ("", part.validator):  # it does not know If-Range
        part.restart()
        raise CutOffError
    part.total = total or 0


def _validator(headers: Message) -> str:
    """What tells this content from a later one. A weak ETag does not (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _read(url: str, response: HTTPResponse) -> bytes:
    """What has come, at most CHUNK bytes; nothing at the end."""
    try:
        return response.read1(CHUNK)
    except TimeoutError as error:
        raise web.stalled(url) from error
    except (OSError, HTTPException) as error:
        raise CutOffError from error


def _must_be_allowed(url: str, size: int, limit: int) -> None:
    if size > limit:
        raise StepFailed("fetch.too_large", f"{shown(url)} is larger than the {limit} bytes that are allowed.")


def _must_have_room(url: str, part: Part) -> None:
    """Raise before the first byte rather than after the last that fits."""
    room = os.fstatvfs(part.fd)
    free = room.f_bavail * room.f_frsize
    if part.total - part.done > free:
        said = f"{shown(url)} has {part.total - part.done} more bytes, and the disk has room for {free}."
        raise StepFailed("fetch.no_room", said, hints=("Make room, or choose another directory.",))
