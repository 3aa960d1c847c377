"""`vfioctl guest create --gpu` on a real libvirtd: one operation makes a guest that vfioctl manages, or nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from vfioctl.testing import scenarios

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
pytest.importorskip("vfioctl_guest")
GPU, SOUND, NAME = "0000:01:00.0", "0000:01:00.1", "win11"
HOST_CARD = "0000:02:00.0"
NETWORK = "<network><name>lan</name><forward mode='bridge'/><bridge name='br-lan'/></network>"
WISH = ("guest", "create", NAME, "--memory", "64M", "--network", "lan", "--gpu")


@pytest.fixture
def house(make_house: Callable[..., Any]) -> Any:
    made = make_house(replace(scenarios.two_gpu(logged_in=False), systemd=False))
    definition = Path(made.host.root) / "lan.xml"
    definition.write_text(NETWORK)
    made.lab.virsh("net-define", str(definition))
    made.lab.virsh("net-start", "lan")
    return made


def data(house: Any, *argv: str) -> dict[str, Any]:
    ended = house.verb(*argv, "--format", "json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)["data"]
    return found


def refused(house: Any, *argv: str) -> str:
    """What the refusal says; nothing is left of it."""
    before = records(house)
    ended = house.verb(*argv)
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert (NAME in known(house), records(house)) == (False, before)
    said: str = ended.stdout + ended.stderr
    return said


def known(house: Any) -> list[str]:
    return str(house.lab.virsh("list", "--all", "--name").stdout).split()


def everything(house: Any) -> list[Path]:
    """Each file and directory of vfioctl."""
    paths = house.host.paths
    return sorted(file for place in (paths.etc, paths.state, paths.run) for file in Path(place).rglob("*"))


def records(house: Any) -> list[str]:
    """What vfioctl keeps about guests."""
    paths = house.host.paths
    places = paths.guest_configs, *(os.path.dirname(path) for path in (paths.identity("x"), paths.before_enable("x")))
    return sorted(str(file) for place in places for file in Path(place).glob("*"))


def hostdevs(house: Any) -> list[tuple[str | None, ...]]:
    root = ET.fromstring(house.lab.virsh("dumpxml", "--inactive", NAME).stdout)
    return [
        (one.get("managed"), *(address.get(key) for key in ("domain", "bus", "slot", "function")))
        for one in root.iterfind("devices/hostdev") if (address := one.find("source/address")) is not None
    ]  # fmt: skip


def test_the_guest_has_every_function_of_the_card_and_vfioctl_manages_it(house: Any) -> None:
    made = data(house, *WISH, "first-free")["guest"]
    assert made["devices"] == [GPU, SOUND]
    assert hostdevs(house) == [("no", "0x0000", "0x01", "0x00", f"0x{number}") for number in range(2)]
    pins = json.loads(Path(house.host.paths.identity(made["uuid"])).read_text())
    assert (pins["guest"], sorted(pins["devices"])) == (NAME, [GPU, SOUND])
    assert house.cli("config", "validate").returncode == 0
    assert house.is_over()


def test_the_hook_would_hand_that_card_over(house: Any) -> None:
    data(house, *WISH, GPU)
    xml = Path(house.host.root) / "domain.xml"
    xml.write_text(house.lab.virsh("dumpxml", "--inactive", NAME).stdout)
    planned = house.cli("plan", NAME, "--xml", str(xml), "--format", "json")
    found = json.loads(planned.stdout)["data"]
    assert (found["managed"], found["plan"]["devices"]) == (True, [GPU, SOUND]), planned.stdout + planned.stderr


def test_a_dry_run_shows_the_xml_and_the_files_and_makes_neither(house: Any) -> None:
    for place in (house.host.paths.guest_configs, os.path.dirname(house.host.paths.identity("x"))):
        shutil.rmtree(place, ignore_errors=True)
    before = records(house), everything(house)
    shown = data(house, *WISH, GPU, "--dry-run")
    assert shown["xml"].count("<hostdev") == 2
    assert [step["kind"] for step in shown["steps"]] == ["domain.define", *["file.write"] * 3]
    assert (NAME in known(house), (records(house), everything(house))) == (False, before)


def test_delete_leaves_nothing_of_it(house: Any) -> None:
    before = records(house)
    data(house, *WISH, GPU)
    assert len(records(house)) == len(before) + 3
    data(house, "guest", "delete", NAME, "--yes")
    assert (NAME in known(house), records(house)) == (False, before)


def test_a_start_that_fails_leaves_neither_guest_nor_file(house: Any) -> None:
    """The hook refuses it: the simulated host has no bridge br-lan."""
    before, drivers = records(house), house.drivers()
    ended = house.verb(*WISH, GPU, "--start")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert (NAME in known(house), records(house)) == (False, before)
    assert house.comes_home(*drivers), house.log()


def test_a_file_of_that_name_is_somebody_elses_and_stays(house: Any) -> None:
    file = Path(house.host.paths.guest_config(NAME))
    file.write_text("session = 'end'\n")
    assert "there already" in refused(house, *WISH, GPU)
    assert file.read_text() == "session = 'end'\n"


def test_the_first_free_card_is_one_that_no_other_guest_names_and_the_host_does_not_need_last(house: Any) -> None:
    data(house, *WISH, "first-free")
    second = data(house, "guest", "create", "second", *WISH[3:], "first-free", "--dry-run")["guest"]
    assert second["devices"][0] == HOST_CARD


def test_a_card_that_another_guest_names_can_be_named_too_and_that_is_said(house: Any) -> None:
    data(house, *WISH, GPU)
    said = house.verb("guest", "create", "second", *WISH[3:], GPU, "--dry-run")
    assert said.returncode == 0, said.stderr
    assert f"{GPU} is also the card of {NAME}" in said.stdout + said.stderr


@pytest.mark.parametrize(("word", "said"), [
    ("0000:99:00.0", "There is no PCI device"), ("fastest", "first-free"), ("0000:00:1f.3", "is no graphics card"),
])  # fmt: skip
def test_what_is_no_card_is_refused(house: Any, word: str, said: str) -> None:
    assert said in refused(house, *WISH, word)
