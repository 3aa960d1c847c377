"""A start that was refused: on record, in the log, at the top of `status` until it is dealt with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hand_offs import BY_NAME, GUEST, Stage, stage


@pytest.fixture
def on(tmp_path) -> Iterator[Stage]:
    """A desktop whose user may not be logged out: every start is refused."""
    with stage(BY_NAME["nvidia-desktop"], tmp_path) as one:
        one.set_guest_file("")
        yield one


def data(on: Stage, *arguments: str) -> dict[str, Any]:
    ended = on.command(*arguments, "--format", "json")
    assert ended.returncode == 0, ended.stdout
    return json.loads(ended.stdout)["data"]


def test_it_is_in_the_history_once_however_often_it_is_tried(on) -> None:
    for _ in range(3):
        assert on.start().status == 3
    (one,) = data(on, "history")["hand_offs"]
    assert (one["event"], one["outcome"], one["ok"], one["code"]) == ("prepare", "refused", False, "session.active")
    assert "refused" in on.command("history").stdout
    shown = on.command("history", "last").stdout
    assert "refused after" in shown
    assert "alice" in shown


def test_another_reason_is_another_record(on) -> None:
    on.start()
    on.set_guest_file("wrong = 1\n")
    on.start()
    assert [one["code"] for one in data(on, "history")["hand_offs"]] == ["config.unknown", "session.active"]


def test_its_line_in_the_log_carries_guest_and_code(on) -> None:
    on.start()
    lines = Path(on.host.paths.log, "vfioctl.log").read_text().splitlines()
    (line,) = (found for found in map(json.loads, lines) if found["priority"] == "error")
    assert (line["guest"], line["operation"], line["code"]) == (GUEST, "prepare", "session.active")


@pytest.mark.parametrize("command", [("recover",), ("recover", GUEST)])
def test_recover_takes_it_as_dealt_with_and_keeps_the_record(on, command) -> None:
    on.start()
    assert on.command("status").stdout.startswith("FAILED: prepare of win11")
    said = on.command(*command).stdout
    assert "The last failure of win11 is dealt with" in said
    assert "FAILED" not in on.command("status").stdout
    assert len(data(on, "history")["hand_offs"]) == 1
    assert data(on, "recover")["settled"] == []


def test_a_guest_that_is_disabled_has_no_failure_to_show(on) -> None:
    on.start()
    assert on.command("disable", GUEST).returncode == 0
    assert "FAILED" not in on.command("status").stdout
    on.set_guest_file("")
    assert "FAILED" not in on.command("status").stdout


def test_a_later_success_takes_its_place(on) -> None:
    on.start()
    on.set_guest_file('session = "end"\n')
    assert on.start().status == 0
    assert "FAILED" not in on.command("status").stdout


def test_a_failure_with_something_open_stays(tmp_path) -> None:
    with stage(BY_NAME["nvidia-greeter"], tmp_path) as on:
        on.start()
        on.guest_ends()
        on.host.kernel.fail_module("nvidia", count=9)
        assert on.command("recover").returncode == 1
        assert "FAILED" in on.command("status").stdout
