"""What a power cut, a full disk or somebody's hand has left of a record that is no journal: told, never a bug.

Records are JSON. What one says is looked at before it is used, whatever else it says than what is written there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hand_offs import GPU, GUEST, Stage
from txn_builders import step

from vfioctl.compose import compose
from vfioctl.entry import dispatch
from vfioctl.errors import Refused, VfioctlError
from vfioctl.files import read_json
from vfioctl.host.processes import start_time
from vfioctl.kinds.common import driver_of
from vfioctl.paths import Paths
from vfioctl.testing.domains import UUID
from vfioctl.txn.resources import Ledger, entry_name

BUG = ("internal error", "Traceback")
STATUS = (("status", "--format", "json"), ("status", GUEST))
READERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "stuck": (*STATUS, ("gpu", "list")), "ledger": (*STATUS, ("plan", GUEST)), "identity": (("list",), ("plan", GUEST)),
    "managed": (("plan", GUEST),), "history": (*STATUS, ("history",), ("history", "last")),
    "last": (*STATUS, ("list",)), "manifest": (("plugins", "list"), ("plan", GUEST)), "before": STATUS,
}  # fmt: skip
BIND = {"baseline": {"driver": "igb", "modules": ["igb"]}, "holders": {UUID: GUEST}, "inherited": False,
        "kind": "driver.bind", "resource": f"pci:{GPU}", "wish": {"address": GPU, "driver": "vfio-pci"}}  # fmt: skip
FORMER = {"began": 1, "daemon": 1, "guest": GUEST, "managed": True}
PASSED = {"code": "", "duration": 1.0, "event": "prepare", "guest": GUEST, "id": "20200101T000000-win11",
          "message": "", "ok": True, "refused": False, "started": 1.5e9, "uuid": UUID, "steps": []}  # fmt: skip
STEP = {"id": "a", "kind": "sysfs.write", "phase": "bind", "started_offset": 0.1, "duration": 0.2, "outcome": "done"}


def written(value: Any) -> bytes:
    return json.dumps(value).encode()


def a_wait(paths: Paths, **other: Any) -> bytes:
    """The record of a write that hangs in a process that lives: this one."""
    began = start_time(paths, os.getpid())
    return written({"address": GPU, "pid": os.getpid(), "start_time": began, "path": "/sys/x", "value": "1", **other})


Record = tuple[Callable[[Paths], str], Callable[[Paths], bytes]]
WHOLE: dict[str, Record] = {
    "stuck": (lambda paths: os.path.join(paths.stuck, f"{GPU}.json"), a_wait),
    "ledger": (
        lambda paths: os.path.join(paths.ledger, entry_name("driver.bind", f"pci:{GPU}")),
        lambda _: written(BIND),
    ),
    "identity": (lambda paths: paths.identity(UUID), lambda _: written({"devices": {GPU: "x"}, "guest": GUEST})),
    "managed": (lambda paths: os.path.join(paths.managed, f"{GPU}.json"), lambda _: written(FORMER)),
    "history": (lambda paths: os.path.join(paths.history, f"{PASSED['id']}.json"), lambda _: written(PASSED)),
    "last": (lambda paths: paths.last(GUEST), lambda _: written({"guest": GUEST, "when": 1.5e9})),
    "manifest": (lambda paths: paths.manifest, lambda _: written({"format": 1})),
    "before": (lambda paths: os.path.join(paths.state, "domains", f"{UUID}.json"), lambda _: written({})),
}  # fmt: skip
ANYWHERE = {
    "empty": b"", "zeros": b"\0" * 300, "too deep": b"[" * 100_000, "objects too deep": b'{"a":' * 50_000,
    "null": b"null", "a list": b"[]", "an object": b"{}", "a text": b'"\\ud800"', "a number": b"1e999",
    "a long number": b"1" * 5000, "no UTF-8": b"\xff\xfe{}",
}  # fmt: skip
ODD: tuple[Any, ...] = (None, [], {}, -1, 1e308, "\ud800", "../x", "a\0b", 10**30, True, [[1]])
FIELDS: tuple[tuple[str, str], ...] = (
    *(("stuck", name) for name in ("address", "pid", "start_time", "path", "value")),
    *(("ledger", name) for name in BIND), *(("history", name) for name in (*PASSED, *(f"steps.{key}" for key in STEP))),
    *(("last", name) for name in ("ok", "when", "guest", "hints", "message")),
    *(("before", name) for name in ("guest", "managed")),
)  # fmt: skip


def plant(paths: Paths, what: str, data: bytes | None = None) -> Path:
    """The record `what`, whole or with other contents."""
    place, whole = WHOLE[what]
    path = Path(place(paths))
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.write_bytes(whole(paths) if data is None else data)
    return path


def changed(paths: Paths, what: str, name: str, value: Any) -> bytes:
    """The record with another `value` of the field `name`."""
    known = json.loads(WHOLE[what][1](paths))
    if name.startswith("steps."):
        return written({**known, "steps": [{**STEP, name.removeprefix("steps."): value}]})
    return written({**known, name: value})


def run_readers(stage: Stage, what: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Each command that reads the record, in this process: what is raised would be raised here."""
    here = compose(stage.root)
    for words in READERS[what]:
        capfd.readouterr()
        dispatch(here, words)
        said = "".join(capfd.readouterr())
        assert not any(bug in said for bug in BUG), (words, said)


@pytest.mark.parametrize("damage", ANYWHERE)
@pytest.mark.parametrize("what", WHOLE)
def test_no_command_fails_with_a_bug_over_a_damaged_record(stage: Stage, what: str, damage: str, capfd):
    plant(stage.host.paths, what, ANYWHERE[damage])
    run_readers(stage, what, capfd)


@pytest.mark.parametrize(("what", "name"), FIELDS)
def test_no_command_fails_with_a_bug_over_a_record_with_another_value(stage: Stage, what: str, name: str, capfd):
    for value in ODD:
        plant(stage.host.paths, what, changed(stage.host.paths, what, name, value))
        run_readers(stage, what, capfd)


@pytest.mark.parametrize("damage", ANYWHERE)
@pytest.mark.parametrize("what", ["stuck", "ledger", "identity"])
def test_a_start_over_a_damaged_record_ends_in_words(stage: Stage, what: str, damage: str):
    path = plant(stage.host.paths, what, ANYWHERE[damage])
    call = stage.prepare()
    assert not any(bug in call.stderr for bug in BUG), call.stderr
    if (what, damage) in (("stuck", "null"), ("ledger", "null"), ("identity", "null"), ("identity", "an object")):
        return
    assert (call.status != 0, str(path) in call.stderr) == (True, True), call.stderr
    assert driver_of(stage.host.paths, GPU) == "igb"


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", FORMER)
def test_a_start_takes_no_harm_from_a_damaged_record_that_only_a_warning_hangs_on(stage: Stage, name: str, value: Any):
    plant(stage.host.paths, "managed", changed(stage.host.paths, "managed", name, value))
    call = stage.prepare()
    assert (call.status, driver_of(stage.host.paths, GPU)) == (0, "vfio-pci"), call.stderr


@pytest.mark.parametrize(("name", "value"), [
    ("pid", "\ud800"), ("pid", "a\0b"), ("pid", "1"), ("pid", True), ("pid", -1), ("pid", 1 << 70), ("path", None),
    ("address", "0000:09:00.0"), ("address", []), ("start_time", 1.5),
])  # fmt: skip
def test_a_record_of_a_hanging_write_that_is_none_does_not_pass_for_none(stage: Stage, name: str, value: Any):
    """Else the device is written to, while an earlier write may still land."""
    path = plant(stage.host.paths, "stuck", changed(stage.host.paths, "stuck", name, value))
    call = stage.prepare()
    assert (call.status != 0, f"({path})" in call.stderr) == (True, True), call.stderr
    assert driver_of(stage.host.paths, GPU) == "igb"


@pytest.mark.parametrize("damage", ANYWHERE)
def test_a_damaged_entry_of_the_ledger_keeps_no_card_from_coming_home(stage: Stage, damage: str):
    """One guest alone holds a device: whoever brings it home."""
    assert stage.start().status == 0
    plant(stage.host.paths, "ledger", ANYWHERE[damage])
    stage.stop()
    assert driver_of(stage.host.paths, GPU) == "igb"
    assert stage.differences("run/vfioctl/journal*") == ()


@pytest.mark.parametrize(("name", "value"), [
    ("resource", "\ud800"), ("resource", "pci:0000:09:00.0"), ("kind", "../x"), ("kind", "sysfs.write"),
])  # fmt: skip
def test_nor_does_an_entry_that_is_about_something_else(stage: Stage, name: str, value: str):
    assert stage.start().status == 0
    plant(stage.host.paths, "ledger", changed(stage.host.paths, "ledger", name, value))
    stage.stop()
    assert driver_of(stage.host.paths, GPU) == "igb"
    assert stage.prepare().status == 0


def test_a_damaged_entry_of_what_guests_share_is_named_on_the_way_home(stage: Stage):
    """Whether another guest still needs it is not known. Once it is removed, as the hint says, `recover` goes on."""
    ledger = Ledger(stage.host.paths)
    shared = step("unit", kind="unit.stop", params={"unit": "x.service"}, resource="unit:x.service")
    ledger.join(shared, UUID, GUEST)
    path = Path(stage.host.paths.ledger, entry_name("unit.stop", "unit:x.service"))
    path.write_bytes(b"")
    for look in (ledger.others, ledger.is_inherited, ledger.leave):
        with pytest.raises(Refused, match=re.escape(str(path))):
            look(shared, UUID)
    assert path.exists()


@pytest.mark.parametrize("damage", [*ANYWHERE, "its guest is a number", "its devices are a text"])
def test_disable_names_a_damaged_record_of_enable_and_changes_nothing(stage: Stage, damage: str):
    known = {"its guest is a number": written({"guest": 7, "managed": []}),
             "its devices are a text": written({"guest": GUEST, "managed": GPU})}  # fmt: skip
    path = plant(stage.host.paths, "before", {**ANYWHERE, **known}[damage])
    ended = stage.command("disable", GUEST)
    assert (ended.returncode, str(path) in ended.stderr) == (3, True), ended
    assert not any(bug in ended.stderr for bug in BUG)
    assert os.path.exists(stage.host.paths.guest_config(GUEST))


def test_json_that_is_nested_too_deep_is_malformed(tmp_path):
    path = tmp_path / "record.json"
    path.write_bytes(ANYWHERE["too deep"])
    with pytest.raises(ValueError, match="nested too deep"):
        read_json(str(path))


def test_a_refusal_of_a_foreign_record_says_what_it_is_about(stage: Stage):
    from vfioctl.host.stuck import read_stuck

    plant(stage.host.paths, "stuck", a_wait(stage.host.paths, address="0000:09:00.0"))
    with pytest.raises(VfioctlError, match=f"it is not about {GPU}"):
        read_stuck(stage.host.paths, GPU)
