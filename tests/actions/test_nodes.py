"""One node asked, or all of them side by side: one that does not answer costs its rows, and no more than its time."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vfioctl.actions import nodes as module
from vfioctl.actions.caller import Call, Caller
from vfioctl.compose import compose
from vfioctl.errors import VfioctlError
from vfioctl.plugin import Guest, read_guests

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")

MOCK = "test:///default"  # libvirt's own driver, which has one guest: "test"
REFUSES = "qemu+tcp://127.0.0.1:1/system"


@pytest.fixture
def call(tmp_path: Path) -> Call:
    return Call(compose(str(tmp_path)), Caller(os.geteuid()), "guest list")


def put(call: Call, name: str, uri: str, more: str = "") -> None:
    place = Path(call.paths.nodes)
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.toml").write_text(f'uri = "{uri}"\n{more}')


@pytest.fixture
def deaf() -> Iterator[str]:
    """The URI of a daemon that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"qemu+tcp://127.0.0.1:{server.getsockname()[1]}/system"


def rows(guests: tuple[Guest, ...]) -> list[dict[str, Any]]:
    return [{"name": guest.name} for guest in guests]


def test_one_node_is_asked_by_its_name(call: Call) -> None:
    put(call, "mock", MOCK)
    result = call.ask_nodes(read_guests, "mock").result("guests", rows)
    assert result.data == {"guests": [{"node": "mock", "name": "test"}],
                           "nodes": [{"node": "mock", "answers": True, "error": None}]}  # fmt: skip
    assert (result.exit_status, result.errors) == (0, ())


def test_one_node_that_does_not_answer_is_the_error_of_the_verb(call: Call) -> None:
    put(call, "gone", REFUSES)
    with pytest.raises(VfioctlError, match="libvirt on gone does not answer") as error:
        call.ask_nodes(read_guests, "gone")
    assert error.value.code == "libvirt.down"


def test_of_all_nodes_those_that_answer_are_listed_and_the_others_have_their_reason(call: Call) -> None:
    put(call, "mock", MOCK)
    put(call, "gone", REFUSES)
    put(call, "wrong", MOCK, "rack = 7\n")
    result = call.ask_nodes(read_guests, all_nodes=True).result("guests", rows)
    assert result.data["guests"] == [{"node": "mock", "name": "test"}]
    assert [(one["node"], one["answers"], one["error"] and one["error"]["code"]) for one in result.data["nodes"]] == [
        ("local", False, "libvirt.other_root"), ("gone", False, "libvirt.down"), ("mock", True, None),
        ("wrong", False, "config.unknown"),
    ]  # fmt: skip
    assert [error.code for error in result.errors] == ["libvirt.other_root", "libvirt.down", "config.unknown"]
    assert result.exit_status == 1


def test_a_node_that_hangs_costs_its_own_time_alone(call: Call, deaf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 1.0)
    put(call, "mock", MOCK)
    for number in range(4):
        put(call, f"deaf{number}", deaf)
    began = time.monotonic()
    result = call.ask_nodes(read_guests, all_nodes=True).result("guests", rows)
    assert result.data["guests"] == [{"node": "mock", "name": "test"}]
    assert [one.code for one in result.errors] == ["libvirt.other_root", *["libvirt.unanswered"] * 4]
    assert time.monotonic() - began < 4 * module.PATIENCE


def test_all_that_a_node_is_asked_counts_for_its_time(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    put(call, "mock", MOCK)

    def slow(connection: Any) -> str:
        for _ in range(100):
            connection.ask(lambda _libvirt: time.sleep(0.1), "a nap")
        return "never"

    answers = call.ask_nodes(slow, all_nodes=True)
    assert [one.error and one.error.code for one in answers.each] == ["libvirt.other_root", "libvirt.unanswered"]


def test_files_are_read_in_the_thread_of_the_verb(call: Call) -> None:
    put(call, "mock", MOCK)
    asked = call.ask_nodes(lambda _connection: threading.current_thread(), all_nodes=True)
    worked = asked.then(lambda _given: threading.current_thread())
    assert [thread is threading.main_thread() for _, thread in asked] == [False]
    assert [(node, thread is threading.main_thread()) for node, thread in worked] == [("mock", True)]
    assert [one.error is None for one in worked.each] == [False, True]


def test_a_bug_is_no_node_that_does_not_answer(call: Call) -> None:
    put(call, "mock", MOCK)
    with pytest.raises(ZeroDivisionError):
        call.ask_nodes(lambda _connection: 1 // 0, all_nodes=True)


def test_one_node_and_all_of_them_exclude_each_other(call: Call) -> None:
    with pytest.raises(VfioctlError, match="--all-nodes asks every node, and --node only mock") as error:
        call.ask_nodes(read_guests, "mock", all_nodes=True)
    assert (error.value.code, error.value.exit_status) == ("usage", 2)


@pytest.mark.parametrize("name", ["rack7", "local"])
def test_a_cordoned_node_takes_no_guest(call: Call, name: str) -> None:
    put(call, name, "qemu:///system", "cordoned = true\n")
    with pytest.raises(VfioctlError, match=f"Node {name} is cordoned") as error:
        call.need_uncordoned(name)
    assert (error.value.code, error.value.exit_status) == ("node.cordoned", 3)
    assert error.value.hints == (f"Give it back its work with: vfioctl node uncordon {name}",)


def test_another_node_takes_guests(call: Call) -> None:
    put(call, "rack7", MOCK, "cordoned = true\n")
    put(call, "rack8", MOCK)
    for node in ("", "local", "rack8", "qemu+ssh://elsewhere/system"):
        call.need_uncordoned(node)
