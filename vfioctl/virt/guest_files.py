"""The bytes of a file in a running guest, read and written by its agent (QEMU guest agent protocol, guest-file-*).

Knows no path of this host, and leaves to the caller what a half-written file is called. Changes no host.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vfioctl.errors import VfioctlError
from vfioctl.virt.agents import ask_agent

if TYPE_CHECKING:
    from vfioctl.virt.connection import Connection

# A message of 256 KiB never arrives through libvirt 9.0, and its agent is silent for seconds then: this is 64 of them.
CHUNK = 48 << 10


def read_guest_file(connection: Connection, uuid: str, path: str, take: Callable[[bytes], object]) -> None:
    """Give `take` the bytes of the file `path` in the guest `uuid`, one piece after the other, up to its end.

    Raises VfioctlError as `ask_agent`; what `take` raises ends it.
    """
    with _open(connection, uuid, path, "rb") as handle:
        ended = False
        while not ended:
            asked = {"handle": handle, "count": CHUNK}
            data, ended = ask_agent(connection, uuid, "guest-file-read", asked, _piece)
            take(data)


def write_guest_file(connection: Connection, uuid: str, path: str, chunks: Iterable[bytes]) -> None:
    """Write `chunks` to the file `path` in the guest `uuid`, in place of what is in it.

    Raises VfioctlError as `ask_agent`, the guest's words for a full disk among them.
    """
    with _open(connection, uuid, path, "wb") as handle:
        for chunk in chunks:
            for begin in range(0, len(chunk), CHUNK):
                _write(connection, uuid, handle, chunk[begin : begin + CHUNK])
        ask_agent(connection, uuid, "guest-file-flush", {"handle": handle}, dict)  # what fclose says of it is lost


def _write(connection: Connection, uuid: str, handle: int, data: bytes) -> None:
    asked = {"handle": handle, "buf-b64": b64encode(data).decode()}
    count = ask_agent(connection, uuid, "guest-file-write", asked, lambda said: int(said["count"]))
    if count != len(data):
        raise VfioctlError("guest.agent_malformed", f"The agent of the guest wrote {count} bytes of {len(data)}.")


def _piece(said: Any) -> tuple[bytes, bool]:
    return b64decode(said["buf-b64"]), bool(said["eof"])


@contextmanager
def _open(connection: Connection, uuid: str, path: str, mode: str) -> Iterator[int]:
    """The agent's handle of it. The agent has few of them until it ends: one that is left open is lost."""
    handle = ask_agent(connection, uuid, "guest-file-open", {"path": path, "mode": mode}, int)
    try:
        yield handle
    finally:
        ask_agent(connection, uuid, "guest-file-close", {"handle": handle}, dict)
