"""Files in a guest, whose agent is played here as qemu-ga answers (its schema, guest-file-*)."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import pytest

from vfioctl.errors import VfioctlError
from vfioctl.virt.connection import Connection
from vfioctl.virt.guest_files import CHUNK, read_guest_file, write_guest_file
from vfioctl.virt.nodes import LOCAL

libvirt_qemu = pytest.importorskip("libvirt_qemu")
UUID = "a51f4e2c-0000-4000-8000-000000000001"
PATH = "/tmp/file"
MOST = 200 << 10  # bytes of a message that pass through libvirt 9.0


class Agent:
    """It keeps one file, and takes at most `room` bytes of it. `handles` are open."""

    def __init__(self, content: bytes = b"", room: int = 1 << 30) -> None:
        self.content, self.room = content, room
        self.at, self.handles = 0, 0

    def __call__(self, _domain: str, text: str, _seconds: int, _flags: int) -> str:
        assert len(text) < MOST
        command = json.loads(text)
        answer: Callable[..., Any] = getattr(self, command["execute"].removeprefix("guest-file-"))
        return json.dumps({"return": answer(**{key.replace("-", "_"): it for key, it in command["arguments"].items()})})

    def open(self, path: str, mode: str) -> int:
        assert path == PATH
        self.handles += 1
        self.content = b"" if mode == "wb" else self.content
        return 1000

    def read(self, handle: int, count: int) -> dict[str, Any]:
        assert handle == 1000
        data = self.content[self.at : self.at + count]
        self.at += len(data)
        return {"count": len(data), "buf-b64": b64encode(data).decode(), "eof": len(data) < count}

    def write(self, handle: int, buf_b64: str) -> dict[str, Any]:
        assert handle == 1000
        data = b64decode(buf_b64)[: self.room - len(self.content)]
        self.content += data
        return {"count": len(data), "eof": False}

    def flush(self, handle: int) -> dict[str, Any]:
        assert handle == 1000
        return {}

    def close(self, handle: int) -> dict[str, Any]:
        assert handle == 1000
        self.handles -= 1
        return {}


class Daemon:
    """A libvirt whose guests are their UUIDs."""

    def lookupByUUIDString(self, uuid: str) -> str:  # noqa: N802 -- libvirt's name
        return uuid

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Agent], Connection]:
    def made(agent: Agent) -> Connection:
        monkeypatch.setattr(libvirt_qemu, "qemuAgentCommand", agent)
        return Connection(LOCAL, Daemon())  # type: ignore[arg-type]

    return made


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 5 * CHUNK])
def test_a_file_is_read_whole_in_pieces_that_pass_through_libvirt(play, size: int) -> None:
    agent, heard = Agent(bytes(range(256)) * (size // 256 + 1)), []
    agent.content = agent.content[:size]
    read_guest_file(play(agent), UUID, PATH, heard.append)
    assert b"".join(heard) == agent.content
    assert agent.handles == 0


def test_a_file_is_written_whole_in_place_of_what_was_there(play) -> None:
    agent, chunks = Agent(b"old and long"), [b"new", b"", b"x" * (3 * CHUNK), b"end"]
    write_guest_file(play(agent), UUID, PATH, chunks)
    assert agent.content == b"".join(chunks)
    assert agent.handles == 0


def test_an_agent_that_wrote_less_than_it_was_given_is_not_believed(play) -> None:
    agent = Agent(room=5)
    with pytest.raises(VfioctlError, match="wrote 5 bytes of 7") as caught:
        write_guest_file(play(agent), UUID, PATH, [b"sevenxx"])
    assert caught.value.code == "guest.agent_malformed"
    assert agent.handles == 0


def test_the_handle_is_closed_when_nobody_wants_the_rest(play) -> None:
    def refuse(_: bytes) -> None:
        raise KeyboardInterrupt

    agent = Agent(b"much")
    with pytest.raises(KeyboardInterrupt):
        read_guest_file(play(agent), UUID, PATH, refuse)
    assert agent.handles == 0
