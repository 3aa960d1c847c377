"""What people see, whole and at a fixed width: each view is made from a result's data alone."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from sample_plan import CARD, SOUND, desktop_plan
from txn_builders import UUID, plan

from vfioctl.cli.render.output import Output, clean
from vfioctl.errors import Refused
from vfioctl.handoff.operation import as_shown
from vfioctl.result import Error, Message, Result, failed, planned_steps
from vfioctl.verbs.table import BUILT_IN, ROWS

Golden = Callable[[str, str], None]


class Terminal(io.StringIO):
    """A stream that says that somebody looks at it."""

    def isatty(self) -> bool:
        return True


def shown(result: Result, form: str = "text") -> str:
    out, err = io.StringIO(), io.StringIO()
    Output(form, out, err).result(result, BUILT_IN.find(result.command))
    return out.getvalue() + err.getvalue()


def test_a_plan_shows_reasons_undo_and_the_point_of_no_return(golden: Golden) -> None:
    error = Error("holder.alive", "It is held by process 42 (X).", hints=("End that process.",))
    golden("plan.txt", shown(Result("plan", desktop_plan(), errors=(error,), exit_status=3)))


FINDING = {
    "code": "display_manager.every_card", "message": "Xorg has 0000:00:02.0 and 0000:01:00.0 open: it would end.",
    "evidence": "/proc/5000011/fd: /dev/dri/card0, /dev/dri/card1, /dev/dri/renderD128, /dev/nvidia-modeset",
    "hint": "Keep Xorg off the card, as the page of two cards says of each compositor.",
    "fix": "vfioctl doctor --fix driver.early",
}  # fmt: skip
CHECKS = [
    {"name": "display-manager.compositor", "source": "display-manager", "worst": "info", "findings": [FINDING],
     "summary": "The desktop leaves a card to guests, and no other one keeps it."},
    {"name": "iommu", "source": "core", "worst": None, "summary": "The IOMMU is on.", "findings": []},
]  # fmt: skip


def lines_of_doctor(data: dict[str, Any], width: int, form: str = "plain") -> list[str]:
    out = io.StringIO()
    output = Output("text", out, io.StringIO(), color=form == "colored", width=width)
    output.result(Result("doctor", data), BUILT_IN.find("doctor"))
    return re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).split("\n")


@pytest.mark.parametrize("form", ["plain", "colored"])
@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_what_doctor_found_fits_and_loses_nothing(width: int, form: str) -> None:
    lines = lines_of_doctor({"checks": CHECKS}, width, form)
    assert max(map(len, lines)) <= width
    words = {word.strip("[]") for line in lines for word in line.split()}
    assert {word for text in FINDING.values() for word in text.split()} <= words


def test_what_a_code_means_fits_too() -> None:
    data = {"code": "iommu.off", "source": "core", "meaning": "It is off. " * 9, "at_length": "At length. " * 20,
            "remedy": "Turn it on. " * 9, "findings": []}  # fmt: skip
    assert max(map(len, lines_of_doctor(data, 60))) <= 60


def test_a_plan_without_steps_says_so(golden: Golden) -> None:
    empty = {**as_shown(plan()), "devices": []}
    data = {"plan": empty, "back": [], "point_of_no_return": None, "blocked": False, "managed": True}
    golden("plan_empty.txt", shown(Result("plan", data)))


def group(number: int | None, *devices: dict[str, Any], viable: bool = True) -> dict[str, Any]:
    return {"group": number, "viable": viable, "devices": list(devices)}


def device(address: str, name: str, **fields: Any) -> dict[str, Any]:
    return {
        "address": address, "name": name, "identity": "10de:2206:1458:403f", "kind": "VGA", "driver": "nvidia",
        "boot_vga": False, "power_state": "D0", "stuck": False, "reset_methods": [], "connectors": [], "guest": None,
        **fields,
    }  # fmt: skip


def test_cards_are_a_tree_by_iommu_group(golden: Golden) -> None:
    connectors = [{"name": "card0-HDMI-A-1", "status": "connected"}, {"name": "card0-DP-1", "status": "disconnected"}]
    data = {"iommu": True, "groups": [
        group(14, device(CARD, "NVIDIA GA102", boot_vga=True, connectors=connectors, reset_methods=["flr", "bus"]),
              device(SOUND, "NVIDIA GA102 audio", kind="audio", driver="snd_hda_intel")),
        group(15, device("0000:02:00.0", "AMD Navi 31", guest="win11"), viable=False),
        group(None, device("0000:03:00.0", "Intel UHD", driver=None, stuck=True)),
    ]}  # fmt: skip
    golden("cards.txt", shown(Result("gpu list", data)))


def holder(pid: int, process: str, **fields: Any) -> dict[str, Any]:
    return {
        "pid": pid, "start_time": 1, "process": process, "user": "root", "uid": 0, "unit": None, "user_unit": None,
        "session": None, "container": None, "nodes": ["/dev/dri/card0"], "devices": [CARD], "untouchable": False,
        **fields,
    }  # fmt: skip


def test_holders_are_a_table(golden: Golden) -> None:
    rows = [
        holder(812, "Xorg", unit="lightdm.service", nodes=["/dev/dri/card0", "/dev/nvidia0", "/dev/nvidiactl"]),
        holder(2044, "pipewire", user="alice", uid=1000, user_unit="pipewire.service", session="2"),
        holder(3110, "python3", container="3f9c0a"),
    ]
    golden("holders.txt", shown(Result("gpu holders", {"devices": [CARD], "holders": rows, "dependents": []})))


def test_holders_names_who_uses_what_the_card_has_made():
    below = {"device": CARD, "kind": "mediated", "name": "0c7d2e91-4a6b-4f0c-9d3e-2b8a7c5f1e60", "users": ["guest a"]}
    said = shown(Result("gpu holders", {"devices": [CARD], "holders": [], "dependents": [below]}))
    assert "is used by guest a." in " ".join(said.split())
    assert "Nothing holds" not in said


def test_a_card_that_nobody_holds_is_one_line() -> None:
    nothing = {"devices": [CARD], "holders": [], "dependents": []}
    assert shown(Result("gpu holders", nothing)) == f"Nothing holds {CARD}.\n"


def timed(identifier: str, start: float, took: float, outcome: str = "done") -> dict[str, Any]:
    return {"id": identifier, "kind": "unit.stop", "phase": "give", "started_offset": start, "duration": took,
            "outcome": outcome, "action": "apply"}  # fmt: skip


HAND_OFF = {
    "id": "20261121T101530-win11", "guest": "win11", "uuid": UUID, "event": "prepare", "started": 1795256130.0,
    "duration": 6.4, "ok": True, "message": f"{CARD} given", "code": "", "refused": False, "outcome": "done",
    "steps": [timed("unit.stop:lightdm", 0.0, 2.1), timed("module.unload:nvidia", 2.1, 4.0),
              timed("driver.override", 6.1, 0.004), timed("driver.bind", 6.11, 0.25, "failed: EBUSY")],
}  # fmt: skip


def test_one_hand_off_is_a_waterfall(golden: Golden) -> None:
    golden("waterfall.txt", shown(Result("history", {"hand_off": HAND_OFF})))


def test_the_history_is_a_table(golden: Golden) -> None:
    failed_one = {**HAND_OFF, "id": "20261121T101000-a", "ok": False, "duration": 95.0, "event": "release",
                  "outcome": "failed"}  # fmt: skip
    refused = {**failed_one, "duration": 0.0, "event": "prepare", "refused": True, "outcome": "refused"}
    golden("history.txt", shown(Result("history", {"hand_offs": [HAND_OFF, failed_one, refused]})))


def test_status_shows_failures_first_then_what_is_open_and_stuck(golden: Golden) -> None:
    last = {
        "guest": "win11", "uuid": UUID, "event": "prepare", "ok": False, "when": 1795256130.0, "code": "holder.alive",
        "message": "win11 was not started: Xorg holds the card.", "state": "Nothing was changed.",
        "hints": ["End it, then start again."], "hand_off": "",
    }  # fmt: skip
    good = {**last, "guest": "linux", "ok": True, "code": "", "message": f"{CARD} back", "state": "", "hints": [],
            "event": "release", "hand_off": "20261121T101530-linux"}  # fmt: skip
    open_one = {
        "guest": "win11", "uuid": UUID, "standing": "applying", "since": 1795256130.0, "devices": [CARD],
        "process": None, "qemu": None, "unfinished": True, "version": "0.1.0",
    }  # fmt: skip
    stuck = {"address": CARD, "pid": 4711, "start_time": 9, "path": "/sys/bus/pci/drivers/nvidia/unbind", "value": CARD}
    card = {"address": CARD, "name": "NVIDIA GA102", "driver": "nvidia", "stuck": True, "guest": None, "boot_vga": True,
            "holders": [{"pid": 812, "process": "Xorg"}]}  # fmt: skip
    running = {**open_one, "standing": "given", "unfinished": False, "qemu": 99, "process": 12}
    data = {"last": [last, good], "hand_offs": [open_one, running], "stuck": [stuck], "cards": [card]}
    golden("status.txt", shown(Result("status", data)))


def test_recover_shows_what_was_done_and_where_the_time_went(golden: Golden) -> None:
    row = {"uuid": UUID, "guest": "win11", "said": "win11: everything is home.", "ok": True, "steps": HAND_OFF["steps"]}
    golden("recover.txt", shown(Result("recover", {"recovered": [row]})))


def test_settings_show_meaning_or_origin(golden: Golden) -> None:
    rows = [{"path": "session", "value": "end", "origin": "/etc/vfioctl/guests/win11.toml:3", "summary": "May end."},
            {"path": "units", "value": ["a.service", "b.service"], "origin": "default", "summary": "Units."},
            {"path": "snapshot.disks", "value": {"vda": "require"}, "origin": "default", "summary": "Disks."},
            {"path": "inhibit_sleep", "value": True, "origin": "default", "summary": "Sleep."}]  # fmt: skip
    meaning = shown(Result("config show", {"guest": "win11", "origin": False, "settings": rows}))
    origin = shown(Result("config show", {"guest": "win11", "origin": True, "settings": rows}))
    golden("settings.txt", f"{meaning}\n{origin}")


def test_plugins_are_a_table_with_the_reason_of_a_broken_one_below(golden: Golden) -> None:
    row = {"name": "nvidia", "version": "0.1.0", "api": 1, "status": "ok", "claims": ["10de:*"], "opt_in": False,
           "summary": "Frees cards from NVIDIA's drivers.", "distribution": "vfioctl-nvidia", "module": "m",
           "settings": []}  # fmt: skip
    broken = {**row, "name": "other", "status": "broken: its data is missing", "claims": [], "summary": ""}
    older = {**row, "name": "older", "note": "it is written for plugin API 1, which still works"}
    rows = [row, broken, {**row, "opt_in": True}, older]
    golden("plugins.txt", shown(Result("plugins list", {"plugins": rows})))


def test_an_error_is_a_sentence_with_its_code_the_state_and_the_next_command() -> None:
    error = Refused("pci.unknown", "There is no PCI device 0000:09:00.0.", state="Nothing was changed.",
                    hints=("vfioctl gpu list",))  # fmt: skip
    assert shown(failed("plan", error)) == (
        "error: There is no PCI device 0000:09:00.0. [pci.unknown]\n  Nothing was changed.\n  vfioctl gpu list\n"
    )


EVIL = "a\x1b[2Jb\u202ec\u200b\U000e0041"


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_name_cannot_drive_the_terminal(form: str) -> None:
    data = {"iommu": True, "groups": [group(1, device(CARD, EVIL))]}
    messages = (Message(EVIL), Message(EVIL, "warning", "x", EVIL))
    result = Result("gpu list", data, messages, (Error("x", EVIL, EVIL, (EVIL,)),))
    text = shown(result, form)
    assert "\x1b" not in text
    assert not set(text) & {"\u202e", "\u200b", "\U000e0041"}


def test_only_a_text_of_lines_has_lines_so_that_no_name_fakes_a_row() -> None:
    assert clean({"comm": "a\nb", "rows": ["a\nb"]}) == {"comm": "a b", "rows": ["a b"]}
    assert clean({"diff": "-a\n+b\x1b"}) == {"diff": "-a\n+b\\x1b"}


def test_markup_in_a_name_is_shown_and_not_obeyed() -> None:
    data = {"iommu": True, "groups": [group(1, device(CARD, "[red]card[/red]"))]}
    assert "[red]card[/red]" in shown(Result("gpu list", data))


@pytest.mark.parametrize(("color", "colored"), [(None, True), (False, False)])
def test_colour_is_for_terminals_that_want_it(*, color: bool | None, colored: bool) -> None:
    out, err = Terminal(), Terminal()
    Output("text", out, err, color=color).result(failed("plan", Refused("a.b", "No.")))
    assert ("\x1b[" in err.getvalue()) is colored


def test_a_reader_that_has_gone_is_no_failure(tmp_path) -> None:
    import os

    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as out:
        Output("text", out, io.StringIO()).result(Result("version", {"version": "1"}))


def test_every_view_of_the_table_exists() -> None:
    import importlib

    for row in ROWS:
        module, _, name = row.view.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_the_steps_of_a_dry_run_stand_below_each_other() -> None:
    steps = [{"kind": "pool.define", "resource": "pool:images", "reason": "it is wanted"},
             {"kind": "pool.start", "resource": "", "reason": "its volumes are wanted"}]  # fmt: skip
    assert list(planned_steps({"steps": steps})) == [
        "Would be done, in this order:", "  pool.define  pool:images: it is wanted",
        "  pool.start   -: its volumes are wanted",
    ]  # fmt: skip
