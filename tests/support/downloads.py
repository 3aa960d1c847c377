"""A server on the loopback that gives one file, well or badly: with ranges, cut off, slow, wrong, somewhere else."""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CONTENT = bytes(range(256)) * 4096  # 1 MiB
TAG = '"first"'
PIECE = 1 << 14


class Served:
    """What the server does, changed while it runs. `asked` are the headers of every request."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.validators = {"ETag": TAG}
        self.ranges = True
        self.heeds = True  # gives a range only of what is asked for by If-Range
        self.cut: list[int] = []  # bytes of its body after which each of the next answers is cut off
        self.claims = 0  # bytes that it claims more than it has
        self.lies: dict[str, str] = {}  # headers of another content than its own
        self.chunked = False
        self.statuses: list[int] = []  # of the next answers; of all others 200
        self.location = ""
        self.pause = threading.Event()  # set: goes on after half of it
        self.pause.set()
        self.reached = threading.Event()  # half of an answer is on its way
        self.still_at = -1  # the bytes of its body at which it stands still instead of half-way
        self.drip = 0.0  # seconds after each byte of the body
        self.drip_head = 0.0  # and after each of the headers, which have no end then
        self.then: list[Callable[[], object]] = []  # what happens after each of the next answers
        self.sent: list[int] = []  # bytes of the body of each answer
        self.asked: list[dict[str, str]] = []
        self.others: dict[str, bytes] = {}  # what lies beside the file, by its path
        self.url = ""
        self.leave: Callable[[], object] = bool  # nobody listens any more

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def half_way(self, at: int = -1) -> None:
        """Stand still in the middle of each answer, or after `at` bytes of it, until `pause` is set."""
        self.still_at = at
        self.pause.clear()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Served

    def do_GET(self) -> None:
        served = self.served
        served.asked.append(dict(self.headers))
        self.close_connection = True
        if served.drip_head:
            self._never_begin(served.drip_head)
        elif (other := served.others.get(self.path)) is not None:
            self._head(200, {"Content-Length": str(len(other))})
            self.wfile.write(other)
        else:
            self._answer(served)
            for happens in served.then[:1]:
                served.then.remove(happens)
                happens()

    def _never_begin(self, pause: float) -> None:
        """Headers without an end."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            self.wfile.write(b"x")
            time.sleep(pause)

    def _answer(self, served: Served) -> None:
        status = served.statuses.pop(0) if served.statuses else 200
        if served.location:
            self._head(302, {"Location": served.location, "Content-Length": "0"})
        elif status != 200:
            self._head(status, {"Content-Length": "0"})
        else:
            self._give(served)

    def _begin(self, served: Served) -> bool:
        """Whether just its begin was asked for, and is sent."""
        asked = re.fullmatch(r"bytes=0-(\d+)", self.headers.get("Range", ""))
        if not asked or not served.ranges:
            return False
        body, total = served.content[: int(asked[1]) + 1], len(served.content)
        self._head(206, {"Content-Range": f"bytes 0-{len(body) - 1}/{total}", "Content-Length": str(len(body))})
        self.wfile.write(body)
        return True

    def _give(self, served: Served) -> None:
        if self._begin(served):
            return
        start, total = self._start(served), len(served.content)
        if start >= total:
            self._head(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
            return
        body = served.content[start:]
        headers = {**served.validators}
        if served.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(body) + served.claims)
        if start:
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        self._head(206 if start else 200, headers)
        self._send(served, body)

    def _start(self, served: Served) -> int:
        """Where it begins: at 0 unless a range was asked for of just this content."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        known = not served.heeds or self.headers.get("If-Range") in served.validators.values()
        return int(asked[1]) if asked and served.ranges and known else 0

    def _send(self, served: Served, body: bytes) -> None:
        end = served.cut.pop(0) if served.cut else len(body)
        still = len(body) // 2 if served.still_at < 0 else served.still_at
        length = 1 if served.drip else PIECE
        served.sent.append(0)
        for at in range(0, end, length):
            if at >= still:
                served.reached.set()
                served.pause.wait(120)
            piece = body[at : min(at + length, end)]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if served.chunked else piece)
            served.sent[-1] += len(piece)
            time.sleep(served.drip)
        if served.chunked and end == len(body):
            self.wfile.write(b"0\r\n\r\n")

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, self.served.lies.get(name, value))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """The tests look at what was asked."""


@contextmanager
def serving(certificate: tuple[Path, Path] | None = None) -> Iterator[Served]:
    """The server while the block runs; of https where it gets a certificate and a key."""
    served = Served()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"served": served}))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  -- a client that goes away
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    served.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}/image.qcow2"

    def leave() -> None:
        server.shutdown()
        server.server_close()

    served.leave = leave
    try:
        yield served
    finally:
        served.pause.set()
        leave()
        thread.join()
