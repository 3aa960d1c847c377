"""What is said while a guest runs with its card, and while a start would not reach vfioctl: the installed command."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hand_offs import BY_NAME, GPU, SOUND, Stage, stage

from vfioctl.paths import Paths
from vfioctl.testing.domains import domain
from vfioctl.testing.model import FakeProcess

MDEV = "5a7c1f0e-6d3b-4c2a-9f8e-0b1c2d3e4f50"


@pytest.fixture
def on(tmp_path) -> Iterator[Stage]:
    """A desktop with one card, whose guest libvirt keeps the definition of."""
    with stage(BY_NAME["nvidia-greeter"], tmp_path) as one:
        place = one.host.paths.at("etc/libvirt/qemu")
        os.makedirs(place)
        with open(os.path.join(place, "win11.xml"), "wb") as file:
            file.write(one.xml)
        yield one


def start_another_entry(paths: Paths) -> None:
    """The hook calls an installation that is gone, with an interpreter that is there."""
    shim = Path(paths.shim)
    shim.write_text(re.sub("^entry=.*", "entry=/opt/old/vfioctl/entry.py", shim.read_text(), flags=re.MULTILINE))


def confine(paths: Paths) -> None:
    """SELinux enforces a policy that lets hooks touch nothing."""
    for name, said in (("getenforce", "Enforcing"), ("getsebool", "virt_hooks_unconfined --> off")):
        program = Path(paths.at("usr/bin", name))
        program.write_text(f"#!/bin/sh\necho '{said}'\n")
        program.chmod(0o755)


def call(on: Stage, *arguments: str) -> tuple[int, dict[str, Any]]:
    ended = on.command(*arguments, "--format", "json")
    return ended.returncode, json.loads(ended.stdout)


def codes(envelope: dict[str, Any]) -> list[str]:
    return [message["code"] for message in envelope["messages"]]


def test_a_guest_that_runs_has_its_card_and_nothing_is_planned_for_it(on) -> None:
    assert on.start().status == 0
    ended = on.command("plan", "win11")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"with {GPU}, {SOUND}." in ended.stdout
    assert "They return when it stops" in ended.stdout
    assert "nvidia" in ended.stdout
    assert "holder.alive" not in ended.stdout
    status, shown = call(on, "plan", "win11")
    running = shown["data"]["running"]
    assert (status, running["given"], running["devices"], shown["data"]["blocked"]) == (0, True, [GPU, SOUND], False)
    assert abs(running["since"] - on.story().started) < 1


def test_a_guest_that_runs_while_the_hook_is_gone_is_warned_about_its_return(on) -> None:
    assert on.start().status == 0
    assert "guest.no_return" not in codes(call(on, "plan", "win11")[1])
    os.remove(on.host.paths.shim)
    said = codes(call(on, "plan", "win11")[1])
    assert {"hook.missing", "guest.no_return"} <= set(said)


def test_a_guest_that_was_started_without_the_hook_is_told_from_one_that_has_its_card(on) -> None:
    on.host.kernel.add_process(on.libvirt.qemu("win11", "6f1c2a34-5b6d-4e7f-8a90-b1c2d3e4f506", ()))
    status, shown = call(on, "plan", "win11")
    assert (status, shown["data"]["running"]["given"]) == (0, False)
    assert "guest.without_hook" in codes(shown)
    assert "given none" in on.command("list").stdout
    assert "and was given nothing" in on.command("status").stdout


def test_a_guest_whose_hand_off_is_unfinished_gets_no_plan_but_how_that_is_finished_first(on) -> None:
    assert on.start().status == 0
    on.guest_ends()
    status, shown = call(on, "plan", "win11")
    (said,) = [one for one in shown["messages"] if one["code"] == "guest.unfinished"]
    assert (status, said["level"], said["hint"]) == (0, "warning", "Finish it with: vfioctl recover win11")
    hand_off, plan = shown["data"]["hand_off"], shown["data"]["plan"]
    assert (hand_off["unfinished"], hand_off["devices"]) == (True, [GPU, SOUND])
    assert {item["step"] for item in plan["way_back"]} >= {f"driver.bind:{GPU}", "inhibit.sleep"}
    ended = on.command("plan", "win11")
    assert "They return first" in ended.stdout
    assert "leaves vfio-pci" not in ended.stdout


def test_of_a_hand_off_that_is_being_finished_what_is_done_is_no_more_ahead(on) -> None:
    assert on.start().status == 0
    on.guest_ends()
    on.crash_at(12)
    on.hook("release")
    plan = call(on, "plan", "win11")[1]["data"]["plan"]
    assert 0 < len(plan["way_back"]) < len(on.story().plan.way_back)


def test_a_hand_off_under_way_is_said_without_a_warning(on) -> None:
    assert on.prepare().status == 0
    _, shown = call(on, "plan", "win11")
    assert (shown["data"]["hand_off"]["unfinished"], codes(shown)) == (False, [""])
    assert "is under way: a start waits for its end" in shown["messages"][0]["text"]


def test_what_undo_sh_has_brought_home_is_planned_and_said_to_be_unfinished(on) -> None:
    assert on.start().status == 0
    on.guest_ends()
    subprocess.run(["sh", os.path.join(on.host.paths.guest_markers("win11"), "undo.sh")], check=True, timeout=60)
    _, shown = call(on, "plan", "win11")
    assert (shown["data"]["hand_off"], codes(shown).count("guest.unfinished")) == (None, 1)
    assert "module.unload:nvidia" in [step["id"] for step in shown["data"]["plan"]["steps"]]


@pytest.mark.parametrize("command", ["plan win11", "status", "list", "enable win11"])
@pytest.mark.parametrize(("breaks", "code"), [
    (lambda paths: os.remove(paths.shim), "hook.missing"),
    (lambda paths: os.chmod(paths.shim, 0o644), "hook.not_executable"),
    (start_another_entry, "hook.entry_gone"),
    (confine, "hook.selinux_boolean"),
])  # fmt: skip
def test_a_hook_that_cannot_fire_is_said(on, command, breaks, code) -> None:
    breaks(on.host.paths)
    status, shown = call(on, *command.split())
    assert (status, codes(shown).count(code)) == (0, 1)


def test_a_daemon_that_is_older_than_the_hook_is_said(on) -> None:
    on.host.kernel.add_process(FakeProcess("libvirtd", unit="libvirtd.service"))
    os.utime(on.host.paths.shim, (1e10, 1e10))
    assert "hook.daemon_older" in codes(call(on, "plan", "win11")[1])


def test_a_hook_that_fires_is_no_word_worth(on) -> None:
    for command in ("plan win11", "status", "list"):
        assert not [code for code in codes(call(on, *command.split())[1]) if code.startswith("hook.")]


def test_the_list_and_the_status_follow_a_guest_through_its_life(on) -> None:
    def row() -> dict[str, Any]:
        (one,) = call(on, "list")[1]["data"]["guests"]
        return one

    assert (row()["state"], row()["last"]) == ("off", None)
    assert "win11 is off" in on.command("status", "win11").stdout
    on.start()
    assert (row()["state"], row()["has"]) == ("running", [GPU, SOUND])
    status, shown = call(on, "status", "win11")
    assert (status, [card["guest"] for card in shown["data"]["cards"]]) == (0, ["win11"])
    assert [(device["address"], device["guest"]) for device in shown["data"]["devices"]] == [(SOUND, "win11")]
    on.guest_ends()
    assert row()["state"] == "unfinished"
    on.command("recover")
    assert (row()["state"], row()["gets"], row()["last"]["event"]) == ("off", [GPU, SOUND], "recover")


def test_a_network_card_that_was_handed_over_is_in_the_status(tmp_path) -> None:
    with stage(BY_NAME["generic"], tmp_path) as on:
        on.start()
        shown = on.command("status").stdout
        assert "given to win11" in shown
        assert "no graphics card" not in shown
        on.stop()


def test_a_guest_without_any_device_gets_a_word_about_the_card(on) -> None:
    file = on.host.paths.at("etc/libvirt/qemu/plain.xml")
    with open(file, "w", encoding="utf-8") as stream:
        stream.write(domain("plain", uuid="11111111-2222-4333-8444-555555555555"))
    for command in ("plan plain", "enable plain"):
        status, shown = call(on, *command.split())
        assert (status, "guest.no_device" in codes(shown)) == (0, True)


def test_a_guest_of_mediated_devices_gets_none(on) -> None:
    source = f"<source><address uuid='{MDEV}'/></source>"
    part = f"<hostdev mode='subsystem' type='mdev' model='vfio-pci'>{source}</hostdev>"
    with open(on.host.paths.at("etc/libvirt/qemu/small.xml"), "w", encoding="utf-8") as stream:
        stream.write(domain("small", uuid="11111111-2222-4333-8444-555555555555", devices=part))
    for command in ("plan small", "enable small"):
        status, shown = call(on, *command.split())
        assert (status, "guest.no_device" in codes(shown)) == (0, False)
