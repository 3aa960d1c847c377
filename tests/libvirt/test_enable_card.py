"""`vfioctl enable --gpu` on a real libvirtd: domain, guest file and pins in one operation, and exactly back."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from option_roms import rom

from vfioctl.actions.equip.devices import Outfit, dressed, undressed
from vfioctl.testing import scenarios
from vfioctl.testing.crash import crash_at, pause_at, paused
from vfioctl.wait import until

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
GPU, SOUND, NAME = "0000:01:00.0", "0000:01:00.1", "win11"
SCREEN = "<graphics type='vnc' passwd='hunter2'><listen type='socket'/></graphics>"
ENABLE = ("enable", NAME, "--gpu", GPU, "--yes")


@pytest.fixture
def house(make_house: Callable[..., Any]) -> Any:
    made = make_house(replace(scenarios.two_gpu(logged_in=False), systemd=False))
    made.guest(NAME, manage=False, xml=SCREEN)
    return made


def xml(house: Any) -> str:
    return str(house.lab.virsh("dumpxml", "--inactive", "--security-info", NAME).stdout)


def done(house: Any, *argv: str) -> dict[str, Any]:
    ended = house.own(*argv, "--format", "json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@contextmanager
def standing_still(house: Any, number: int) -> Iterator[subprocess.Popen[str]]:
    """`enable` that stops at boundary `number`; it goes on, and has ended, afterwards."""
    pause_at(house.host.root, number)
    with (house.lab.work / "said").open("w") as said:
        process = subprocess.Popen(house.own_argv(*ENABLE), stdout=said, stderr=said, text=True, cwd="/")
    assert until(lambda: bool(paused(house.host.root)), 60)
    pid = paused(house.host.root)
    crash_at(house.host.root, None)
    yield process
    assert pid
    os.kill(pid, signal.SIGCONT)
    process.wait(60)


def refused(house: Any, *argv: str) -> str:
    """What the refusal says; nothing is left of it."""
    before = xml(house), records(house)
    ended = house.own(*argv)
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert (xml(house), records(house)) == before
    return str(ended.stdout + ended.stderr)


def row(house: Any) -> dict[str, Any]:
    """What `guest list` says of the guest."""
    rows = {one["name"]: one for one in done(house, "guest", "list")["data"]["guests"]}
    found: dict[str, Any] = rows[NAME]
    return found


def records(house: Any) -> list[str]:
    """What vfioctl keeps about guests."""
    paths = house.host.paths
    places = paths.guest_configs, *(os.path.dirname(path) for path in (paths.identity("x"), paths.before_enable("x")))
    return sorted(str(file) for place in places for file in Path(place).glob("*"))


def hostdevs(house: Any) -> list[tuple[str | None, ...]]:
    return [
        (one.get("managed"), *(address.get(key) for key in ("bus", "slot", "function")))
        for one in ET.fromstring(xml(house)).iterfind("devices/hostdev")
        if (address := one.find("source/address")) is not None
    ]  # fmt: skip


def test_the_guest_gets_every_function_of_the_card_and_is_managed(house: Any) -> None:
    shown = done(house, *ENABLE)["data"]
    assert hostdevs(house) == [("no", "0x01", "0x00", f"0x{number}") for number in range(2)]
    assert (shown["applied"], shown["created"]) == (True, True)
    pins = json.loads(Path(house.host.paths.identity(shown["uuid"])).read_text())
    assert sorted(pins["devices"]) == [GPU, SOUND]
    assert Path(house.host.paths.guest_config(NAME)).exists()
    assert house.is_over()


def test_the_list_of_guests_says_what_one_lacks_until_it_can_start(house: Any) -> None:
    done(house, *ENABLE)
    assert row(house)["lacks"] == []
    os.unlink(house.host.paths.guest_config(NAME))
    assert [one["code"] for one in row(house)["lacks"]] == ["guest.unmanaged"]


def test_disable_restores_the_domain_byte_for_byte(house: Any) -> None:
    before, kept = xml(house), records(house)
    done(house, *ENABLE, "--display", "none")
    assert "<graphics" not in xml(house)
    assert done(house, "disable", NAME)["data"]["edited"] is False
    assert (xml(house), records(house)) == (before, kept)


def test_a_guest_that_gets_the_name_of_a_renamed_one_gives_back_its_own_devices(house: Any) -> None:
    earlier = f"00000000{house.lab.virsh('domuuid', NAME).stdout.strip()[8:]}"
    second = xml(house)
    house.lab.virsh("undefine", NAME)
    file = Path(house.host.root) / "guest.xml"
    file.write_text(re.sub("<uuid>.*</uuid>", f"<uuid>{earlier}</uuid>", second))
    house.lab.virsh("define", str(file))
    done(house, *ENABLE)
    house.lab.virsh("domrename", NAME, "earlier")
    before = house.lab.virsh("dumpxml", "earlier").stdout
    of_the_other = [one for one in records(house) if earlier in one]
    file.write_text(second)
    house.lab.virsh("define", str(file))
    os.unlink(house.host.paths.guest_config(NAME))
    done(house, *ENABLE)
    done(house, "enable", NAME, "--display", "none", "--yes")
    assert done(house, "disable", NAME)["data"]["edited"] is False
    assert (xml(house), house.lab.virsh("dumpxml", "earlier").stdout) == (second, before)
    assert [one for one in records(house) if earlier in one] == of_the_other


def test_what_somebody_changed_since_stays_when_the_card_is_taken_out(house: Any) -> None:
    done(house, *ENABLE)
    edited = Path(house.host.root) / "edited.xml"
    edited.write_text(xml(house).replace("</name>", "</name>\n  <title>of somebody else</title>"))
    house.lab.virsh("define", str(edited))
    ended = done(house, "disable", NAME)
    assert ended["data"]["edited"] is True
    assert "was edited since" in ended["messages"][0]["text"]
    assert (hostdevs(house), "of somebody else" in xml(house)) == ([], True)


def test_an_edit_between_two_changes_is_not_lost_either(house: Any) -> None:
    done(house, *ENABLE)
    edited = Path(house.host.root) / "edited.xml"
    edited.write_text(xml(house).replace("</name>", "</name>\n  <title>of somebody else</title>"))
    house.lab.virsh("define", str(edited))
    done(house, "enable", NAME, "--display", "none", "--yes")
    assert done(house, "disable", NAME)["data"]["edited"] is False
    assert (hostdevs(house), "of somebody else" in xml(house), "hunter2" in xml(house)) == ([], True, True)


def test_libvirt_takes_everything_that_can_be_put_in_and_gets_its_own_back(house: Any) -> None:
    before = xml(house)
    file = Path(house.host.paths.at("usr/share/vgabios/card.rom"))
    file.parent.mkdir(parents=True)
    file.write_bytes(rom(0x10DE, 0x2206))
    shown = done(house, *ENABLE, "--rom", "/usr/share/vgabios/card.rom", "--looking-glass", "1920x1080", "--hide-kvm")
    made = xml(house)
    for part in ("<rom file='/usr/share/vgabios/card.rom'/>", "<size unit='M'>32</size>", "<hidden state='on'/>"):
        assert part in made
    assert {"guest.hidden", "looking_glass.access"} <= {one["code"] for one in shown["messages"]}
    done(house, "disable", NAME)
    assert xml(house) == before


def test_a_rom_of_another_card_refuses_all_of_it(house: Any) -> None:
    file = Path(house.host.paths.at("usr/share/vgabios/card.rom"))
    file.parent.mkdir(parents=True)
    file.write_bytes(rom(0x1002, 0x73BF))
    assert "[rom.other_card]" in refused(house, *ENABLE, "--rom", "/usr/share/vgabios/card.rom")


def test_libvirt_takes_input_devices_and_an_edit_of_it_loses_only_them(house: Any) -> None:
    """Which devices there are is not libvirt's question before a start."""
    keyboard = "/dev/input/by-id/usb-K-event-kbd"
    outfit = Outfit(inputs=(keyboard, "/dev/input/by-id/usb-M-event-mouse"), keyboards=frozenset({keyboard}))
    new, put = dressed(xml(house).encode(), outfit)
    file = house.lab.work / "new.xml"
    file.write_bytes(new)
    house.lab.virsh("define", str(file))
    made = xml(house)
    assert f"<source dev='{keyboard}' grab='all'" in made
    assert (made.count("type='evdev'"), undressed(made.encode(), put).count(b"type='evdev'")) == (2, 0)


def test_a_dry_run_shows_the_steps_and_the_change_and_does_neither(house: Any) -> None:
    before = xml(house), records(house)
    shown = done(house, *ENABLE[:-1], "--dry-run")["data"]
    assert [step["kind"] for step in shown["steps"]] == ["domain.define", *["file.write"] * 3]
    assert shown["diff"].count("+    <hostdev") == 2
    assert (xml(house), records(house)) == before
    assert "+    <hostdev" in house.own(*ENABLE[:-1], "--dry-run").stdout


def test_without_an_answer_nothing_is_changed_and_the_change_is_shown(house: Any) -> None:
    said = refused(house, *ENABLE[:-1])
    assert "[enable.change]" in said
    assert f"vfioctl enable {NAME} --gpu {GPU} --yes" in said
    assert "+    <hostdev" in said


def test_enable_twice_changes_nothing_the_second_time(house: Any) -> None:
    done(house, *ENABLE)
    first = xml(house)
    again = done(house, *ENABLE)["data"]
    assert (xml(house), again["diff"], again["created"]) == (first, "", False)


def test_a_running_guest_gets_the_card_with_its_next_start(house: Any) -> None:
    house.lab.virsh("start", NAME)
    said = done(house, *ENABLE)["messages"]
    house.lab.virsh("destroy", NAME)
    assert any("from its next start on" in one["text"] for one in said)
    assert len(hostdevs(house)) == 2


def test_what_a_disabled_guest_had_in_its_file_comes_back_with_the_card(house: Any) -> None:
    done(house, *ENABLE)
    Path(house.host.paths.guest_config(NAME)).write_text('session = "end"  # mine\n')
    done(house, "disable", NAME)
    done(house, *ENABLE)
    assert Path(house.host.paths.guest_config(NAME)).read_text() == 'session = "end"  # mine\n'


def test_a_crash_at_any_boundary_leaves_all_or_nothing(house: Any) -> None:
    before, kept = xml(house), records(house)
    for number in range(1, 30):
        crash_at(house.host.root, number)
        ended = house.own(*ENABLE)
        crash_at(house.host.root, None)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stdout + ended.stderr
        settled = house.own("recover")
        assert settled.returncode == 0, settled.stdout + settled.stderr
        if Path(house.host.paths.guest_config(NAME)).exists():  # all was done, and only the end not written
            done(house, "disable", NAME)
            assert hostdevs(house) == []
            Path(house.lab.work / "former.xml").write_text(before)
            house.lab.virsh("define", str(house.lab.work / "former.xml"))
        assert (number, xml(house), records(house), house.is_over()) == (number, before, kept, True)
    assert (number > 8, len(hostdevs(house))) == (True, 2)


def test_a_domain_that_somebody_changes_meanwhile_is_refused_and_stays_theirs(house: Any) -> None:
    kept = records(house)
    theirs = Path(house.host.root) / "theirs.xml"
    theirs.write_text(xml(house).replace("</name>", "</name>\n  <title>of somebody else</title>"))
    with standing_still(house, 1) as process:
        house.lab.virsh("define", str(theirs))
        changed = xml(house)
    assert process.returncode not in (0, 4)
    assert "was changed since this was planned" in (house.lab.work / "said").read_text()
    assert (xml(house), records(house), house.is_over()) == (changed, kept, True)


def test_of_two_at_once_one_is_refused_and_nothing_is_doubled(house: Any) -> None:
    with standing_still(house, 2) as process:
        second = house.own(*ENABLE)
    assert (process.returncode, second.returncode) == (0, 3), second.stdout + second.stderr
    assert len(hostdevs(house)) == 2


def test_a_daemon_that_dies_when_all_is_done_costs_only_the_look_at_it(house: Any) -> None:
    before = xml(house)
    with standing_still(house, 3) as process:
        house.lab.sigkill()
    house.lab.start()
    assert (process.returncode, len(hostdevs(house)), house.is_over()) == (0, 2, True)
    assert "[enable.unseen]" in (house.lab.work / "said").read_text()
    done(house, "disable", NAME)
    assert (hostdevs(house), "hunter2" in xml(house)) == ([], "hunter2" in before)


def test_a_daemon_that_is_away_is_said_and_one_that_dies_midway_loses_nothing(house: Any) -> None:
    before, kept = xml(house), records(house)
    with standing_still(house, 1) as process:
        house.lab.sigkill()
    away = house.own(*ENABLE)
    house.lab.start()
    assert process.returncode != 0
    assert "[libvirt.down]" in away.stderr
    assert house.own("recover").returncode == 0
    assert (xml(house), records(house), house.is_over()) == (before, kept, True)
