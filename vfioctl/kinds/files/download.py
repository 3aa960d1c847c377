"""Fills a part file over HTTP, and goes on where it was cut off. Knows no step; whose file it is others decide."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing, suppress
from http.client import HTTPException
from urllib.error import HTTPError

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.files import write_all
from vfioctl.kinds.files import web
from vfioctl.kinds.files.addresses import shown
from vfioctl.kinds.files.web import PARTIAL
from vfioctl.wait import Backoff

if TYPE_CHECKING:
    from collections.abc import Generator
    from email.message import Message
    from http.client import HTTPResponse

    from vfioctl.txn.machine import Machine

PAUSE = 2.0  # the longest one between two connections
CHUNK = 1 << 20
VALIDATOR = "user.vfioctl.validator"  # what the server called the content that was begun (RFC 9110, 13.1.5)
UNSATISFIABLE = 416
PASSING = (429, 502, 503, 504)  # errors that may be over in a moment


class CutOffError(Exception):
    """The connection ended before the content did; the text says why, where that is known."""


class Part:
    """The part file `fd`: how much of it is `done`, and the checksum of that."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.done = 0
        self.total = 0  # 0: nobody knows
        self.hash = hashlib.sha256()
        self.validator = ""

    def take_up(self, machine: Machine) -> None:
        """Go on with what an earlier process has left, where it noted what that is a part of."""
        with suppress(OSError):
            self.validator = os.getxattr(self.fd, VALIDATOR).decode()
        if not self.validator:
            self.restart()
            return
        while chunk := os.read(self.fd, CHUNK):
            machine.checkpoint()
            self.hash.update(chunk)
            self.done += len(chunk)

    def restart(self) -> None:
        os.ftruncate(self.fd, 0)
        os.lseek(self.fd, 0, os.SEEK_SET)
        self.done, self.total, self.hash = 0, 0, hashlib.sha256()

    def note(self, validator: str) -> None:
        """Remember what the content is called, for another process too where the file system keeps such notes."""
        self.validator = validator
        with suppress(OSError):
            os.setxattr(self.fd, VALIDATOR, validator.encode())

    def forget(self) -> None:
        """It is whole: the note is of no use to whoever gets the file."""
        with suppress(OSError):
            os.removexattr(self.fd, VALIDATOR)

    def add(self, chunk: bytes) -> None:
        write_all(self.fd, chunk)
        self.hash.update(chunk)
        self.done += len(chunk)


def download(url: str, fd: int, machine: Machine, *, limit: int) -> str:
    """Fill the file `fd` with what `url` gives; returns the sha256 of it.

    Raises StepFailed: fetch.unreachable, fetch.untrusted, fetch.status, fetch.redirected, fetch.too_large,
    fetch.no_room, fetch.cut_off; DeadlineExceeded: fetch.stalled; OSError when it cannot be written; what a checkpoint
    raises.
    """
    part, pauses = Part(fd), iter(Backoff(web.STALL, longest=PAUSE))
    part.take_up(machine)
    while True:
        before = part.done
        try:
            _go_on(url, part, machine, limit)
        except CutOffError as error:
            machine.checkpoint()
            if part.done > before:
                pauses = iter(Backoff(web.STALL, longest=PAUSE))
            elif not next(pauses, 0.0):
                said = f"{shown(url)} is cut off after {part.done} bytes, and nothing more came in {web.STALL:g} s"
                raise StepFailed("fetch.cut_off", f"{said}{f': {error}' if str(error) else ''}.") from error
            continue
        part.forget()
        return part.hash.hexdigest()


def _go_on(url: str, part: Part, machine: Machine, limit: int) -> None:
    """Take what one connection brings. Raises CutOffError when more is missing."""
    with closing(_chunks(url, part, limit)) as chunks:
        for chunk in chunks:
            part.add(chunk)
            _must_be_allowed(url, part.done, limit)
            machine.progress(part.done, part.total, "bytes")
            machine.checkpoint()


def _chunks(url: str, part: Part, limit: int) -> Generator[bytes, None, None]:
    """What is missing of the part. Raises CutOffError when there is more."""
    response = _answer(url, part)
    if response is None:
        return
    with response:
        _align(url, part, response)
        _must_be_allowed(url, part.total, limit)
        _must_have_room(url, part)
        while chunk := _read(url, response):
            yield chunk
    if part.total and part.done < part.total:
        raise CutOffError


def _answer(url: str, part: Part) -> HTTPResponse | None:
    """The server's answer; None when the part is whole already."""
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
    """Go on after what is there when the server does, and start over when it sends everything."""
    start, total = web.range_of(response.headers)
    if response.status == PARTIAL and start != part.done:
        raise StepFailed("fetch.status", f"{shown(url)} sends another part than it was asked for.")
    if response.status != PARTIAL:
        part.restart()
        part.note(_validator(response.headers))
        total = web.length(response.headers)
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
