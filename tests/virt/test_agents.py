"""A program in a guest, run by an agent that is played here as qemu-ga answers (its schema, guest-exec)."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from vfioctl.errors import VfioctlError
from vfioctl.virt.agents import GuestRun, run_in_guest
from vfioctl.virt.connection import Connection
from vfioctl.virt.nodes import LOCAL

libvirt_qemu = pytest.importorskip("libvirt_qemu")
UUID = "a51f4e2c-0000-4000-8000-000000000001"


class Agent:
    """It answers `looks` times that the program runs, then how it ended."""

    def __init__(self, looks: int, **ended: Any) -> None:
        self.looks, self.ended = looks, ended
        self.asked: list[dict[str, Any]] = []

    def __call__(self, domain: str, text: str, _seconds: int, _flags: int) -> str:
        assert domain == UUID
        command = json.loads(text)
        self.asked.append(command)
        return json.dumps({"return": self.answer(command)})

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        if command["execute"] == "guest-exec":
            return {"pid": 77}
        assert command == {"execute": "guest-exec-status", "arguments": {"pid": 77}}
        self.looks -= 1
        return {"exited": False} if self.looks >= 0 else {"exited": True, **self.ended}


class Daemon:
    """A libvirt whose guests are their UUIDs."""

    def lookupByUUIDString(self, uuid: str) -> str:  # noqa: N802 -- libvirt's name
        return uuid

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(agent: Any, limit: float = 10.0) -> GuestRun:
        monkeypatch.setattr(libvirt_qemu, "qemuAgentCommand", agent)
        return run_in_guest(Connection(LOCAL, Daemon()), UUID, ("/bin/echo", "a b", "-n"), limit=limit)

    return made


def test_what_it_said_and_its_status_come_back_when_it_has_ended(run) -> None:
    said = {"out-data": b64encode(b"a b\xff").decode(), "err-data": b64encode(b"oh").decode()}
    agent = Agent(2, exitcode=3, **said)
    assert run(agent) == GuestRun(77, 3, 0, b"a b\xff", b"oh")
    assert agent.asked[0] == {
        "execute": "guest-exec",
        "arguments": {"path": "/bin/echo", "arg": ["a b", "-n"], "capture-output": True},
    }
    assert len(agent.asked) == 4


def test_a_signal_and_an_output_that_was_cut_are_told(run) -> None:
    ended = run(Agent(0, signal=9, **{"out-truncated": True}))
    assert (ended.signal, ended.is_cut, ended.stdout) == (9, True, b"")


def test_one_that_does_not_end_in_time_runs_on_and_its_process_is_named(run) -> None:
    with pytest.raises(VfioctlError) as caught:
        run(Agent(10**6), limit=0.2)
    assert caught.value.code == "guest.exec_deadline"
    assert "process 77" in caught.value.state


@pytest.mark.parametrize("said", ["", "[]", '{"return": {}}', '{"return": null}', '{"error": {}}'])
def test_what_is_no_answer_is_named(run, said: str) -> None:
    with pytest.raises(VfioctlError) as caught:
        run(lambda *_: said)
    assert caught.value.code == "guest.agent_malformed"
