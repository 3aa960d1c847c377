"""How an address of HTTP is opened: certificates, where a redirection may lead, what comes first. Writes no file."""

from __future__ import annotations

import math
import re
import ssl
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
)

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, Refused, StepFailed, VfioctlError
from vfioctl.followed import followed
from vfioctl.frozen import frozen
from vfioctl.kinds.files.addresses import is_address, shown
from vfioctl.txn.clock import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import Message
    from http.client import HTTPMessage, HTTPResponse
    from typing import IO

NOTHING_CHANGED = "Nothing was changed."
STALL = 30.0  # seconds without a byte
ALWAYS = {"Accept-Encoding": "identity", "User-Agent": "vfioctl"}
RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")  # Content-Range (RFC 9110, 14.4)
MOST_DIGITS = 18  # what has more may not fit 64 bits, and Python reads no more than 4300
REDIRECTED, PARTIAL = range(300, 400), 206


@frozen
class Glance:
    """What an address gives: `final` is where it leads to, `size` how long that is in bytes, 0 where nobody says.

    `begin` has its first bytes, all of them where `is_whole`.
    """

    final: str
    size: int
    begin: bytes
    is_whole: bool


class UnreachableError(StepFailed):
    """Nobody answers at the address, and `why`."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__("fetch.unreachable", f"{shown(url)} cannot be reached: {why}.")
        self.why = why


class NeverToPlain(HTTPRedirectHandler):
    """Follows a redirection, but never from https to http, nor to anything else than these."""

    def redirect_request(  # noqa: PLR0917 -- urllib's signature
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        scheme = newurl.partition(":")[0].lower()
        if scheme not in {req.type, "https"}:
            fp.close()
            said = f"{shown(req.full_url)} leads to {shown(newurl)}, which is not {req.type}."
            raise StepFailed("fetch.redirected", said, hints=("Name that address, if you trust it.",))
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def glance(url: str, most: int) -> Glance:
    """What `url` gives, its first `most` bytes. Raises Refused: fetch.address, fetch.unreachable, and so on."""
    if not is_address(url):
        said = f"{shown(url)!r} is no address that can be used: http or https, and no password in it."
        raise Refused("fetch.address", said, state=NOTHING_CHANGED)
    try:
        final, size, begin, is_whole = followed(lambda _: _seen(url, most), _patience(url), quiet=math.inf)
    except VfioctlError as error:
        raise Refused(error.code, error.message, state=NOTHING_CHANGED, hints=error.hints) from error
    return Glance(final, size, begin.encode("latin-1"), is_whole)


def _patience(url: str) -> Callable[..., None]:
    """What raises where it takes too long, whatever comes meanwhile."""
    seconds = 2 * STALL
    end = Deadline(seconds)

    def heard() -> None:
        if not end.left:
            raise DeadlineExceeded("fetch.stalled", f"The begin of {shown(url)} has not come in {seconds:g} s.")

    return heard


def _seen(url: str, most: int) -> tuple[str, int, str, bool]:
    """A Glance as JSON keeps it."""
    try:
        with _first(url, most) as response:
            begin = response.read(most + 1)
            total = range_of(response.headers)[1] if response.status == PARTIAL else length(response.headers)
            is_whole = len(begin) <= most and total in (None, 0, len(begin))
            return response.url, total or 0, begin[:most].decode("latin-1"), is_whole
    except TimeoutError as error:
        raise stalled(url) from error
    except (OSError, HTTPException) as error:
        raise StepFailed("fetch.cut_off", f"{shown(url)} is cut off at once.") from error


def _first(url: str, most: int) -> HTTPResponse:
    try:
        return answer(url, {"Range": f"bytes=0-{most - 1}"})
    except HTTPError as error:
        with error:
            raise refusing(url, error) from error


def answer(url: str, headers: Mapping[str, str]) -> HTTPResponse:
    """The server's answer. Raises StepFailed("fetch.unreachable", "fetch.untrusted", "fetch.redirected"),
    DeadlineExceeded("fetch.stalled"), HTTPError for an answer that is an error, OSError and HTTPException.
    """
    try:
        found: HTTPResponse = _opener().open(Request(url, headers={**ALWAYS, **headers}), timeout=STALL)
    except HTTPError:
        raise
    except URLError as error:
        raise _unreachable(url, error) from error
    except TimeoutError as error:
        raise stalled(url) from error
    return found


def refusing(url: str, error: HTTPError) -> StepFailed:
    """What an answer that is an error means."""
    if error.code in REDIRECTED:
        return StepFailed("fetch.redirected", f"{shown(url)} leads where it is not followed: {error.reason}.")
    return StepFailed("fetch.status", f"{shown(url)} answers {error.code} {error.reason}.")


def stalled(url: str, seconds: float = 0.0) -> DeadlineExceeded:
    """The error about a server that has sent nothing for STALL seconds, or for more of them."""
    return DeadlineExceeded("fetch.stalled", f"{shown(url)} has sent nothing for {seconds or STALL:g} s.")


def _unreachable(url: str, error: URLError) -> VfioctlError:
    why = error.reason
    if isinstance(why, TimeoutError):
        return stalled(url)
    if isinstance(why, ssl.SSLCertVerificationError):
        said = f"{shown(url)} is not who it says: {why.verify_message}."
        return StepFailed("fetch.untrusted", said, hints=("Look at the address in a browser.",))
    return UnreachableError(url, getattr(why, "strerror", "") or str(why))


def length(headers: Message) -> int:
    """How long the whole is, 0 where that is not told."""
    return _number(headers.get("Content-Length", "")) or 0


def range_of(headers: Message) -> tuple[int | None, int | None]:
    """Where the part that is sent begins, and how large the whole is, as far as they are told."""
    found = RANGE.fullmatch(headers.get("Content-Range", ""))
    start, total = found.groups() if found else (None, None)
    return _number(start or ""), _number(total or "")


def _number(said: str) -> int | None:
    """What a header tells; None for what is no number, or one that no file is as long as."""
    return int(said) if said.isascii() and said.isdigit() and len(said) <= MOST_DIGITS else None


def _opener() -> OpenerDirector:
    """HTTP and nothing else: no proxy of the environment, no file:, no ftp:.

    Certificates and names are checked against the authorities of the system (http.client.HTTPSConnection).
    """
    opener = OpenerDirector()
    for handler in (HTTPHandler, HTTPSHandler, HTTPDefaultErrorHandler, HTTPErrorProcessor, NeverToPlain):
        opener.add_handler(handler())
    return opener
