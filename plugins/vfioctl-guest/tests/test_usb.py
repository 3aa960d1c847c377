"""Which USB device a word means, and what speaks against giving it to a guest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from vfioctl_guest import hotplug, places, usb
from vfioctl_guest.commands import attach
from vfioctl_guest.life import Subject
from vfioctl_guest.places import Change

from vfioctl.plugin import Guest, Refused, UsbDevice

HUB = UsbDevice(1, 1, "1d6b:0002", hub=True)
KEYBOARD = UsbDevice(1, 4, "046d:c31c", "Keyboard K120", keyboard=True)
STICK, TWIN = UsbDevice(1, 12, "0781:5581", "Ultra"), UsbDevice(2, 3, "0781:5581", "Ultra")
EVERY = (HUB, KEYBOARD, STICK)
HAS = "<hostdev mode='subsystem' type='usb'><source><vendor id='0x0781'/><product id='0x5581'/>{}</source></hostdev>"
PLACE = "<address bus='1' device='12'/>"


def guest(name: str = "web", devices: str = "", live: str = "") -> Guest:
    xml, state = f"<domain><devices>{devices}</devices></domain>", "running" if live else "off"
    running = f"<domain><devices>{live}</devices></domain>" if live else ""
    return Guest(f"uuid of {name}", name, state, persistent=True, saved=False, xml=xml, live_xml=running)


def given(
    monkeypatch: pytest.MonkeyPatch, word: str, *others: Guest, own: Guest | None = None,
    every: tuple[UsbDevice, ...] = EVERY, mounts: tuple[str, ...] = (),
) -> Change:  # fmt: skip
    """What `guest attach web --usb WORD` would do on a node with these devices."""
    own = own or guest()
    monkeypatch.setattr(usb, "read_usb_devices", lambda _: every)
    monkeypatch.setattr(usb, "read_guests", lambda _: (own, *others))
    monkeypatch.setattr(usb, "usb_mounts", lambda _paths, _bus, _device: mounts)
    call: Any = SimpleNamespace(paths=None)
    connection: Any = None
    return usb.usb_for(call, connection, Subject(own, "local", "qemu:///system", local=True, managed=False), word)


def said(change: Change) -> list[tuple[str, str]]:
    return [(one.code, one.severity.name) for one in change.findings]


@pytest.mark.parametrize(("word", "meant"), [
    ("046D:C31C", "046d:c31c"), ("1.12", "1.12"), ("001.012", "1.12"), ("001:012", "1.12"), ("0781:5581", "0781:5581"),
])  # fmt: skip
def test_a_device_is_meant_by_its_identity_or_its_numbers(word: str, meant: str) -> None:
    assert usb.usb_word(word) == meant


@pytest.mark.parametrize("word", ["", "keyboard", "46d:c31c", "1.2.3", "1:4", "046d:c31c\n", "g46d:c31c"])
def test_what_names_none_is_refused_with_what_was_expected(word: str) -> None:
    with pytest.raises(Refused) as caught:
        usb.usb_word(word)
    assert caught.value.code == "usb.bad_name"


@pytest.mark.parametrize(("word", "every", "code"), [
    ("dead:beef", EVERY, "usb.unknown"), ("9.9", EVERY, "usb.unknown"), ("1.1", EVERY, "usb.hub"),
    ("1d6b:0002", (*EVERY, UsbDevice(2, 1, "1d6b:0002", hub=True)), "usb.hub"),
    ("0781:5581", (*EVERY, TWIN), "usb.ambiguous"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused(
    monkeypatch: pytest.MonkeyPatch, word: str, every: tuple[UsbDevice, ...], code: str
) -> None:
    with pytest.raises(Refused) as caught:
        given(monkeypatch, word, every=every)
    assert caught.value.code == code
    if code == "usb.ambiguous":
        assert caught.value.hints == ("Name one by its numbers: 1.12, 2.3",)


def test_it_is_given_by_its_identity_so_that_it_may_be_plugged_in_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    made = given(monkeypatch, "1.12")
    assert said(made) == []
    source = ET.fromstring(made.device).find("source")
    assert source is not None
    assert [(one.tag, one.attrib) for one in source] == [("vendor", {"id": "0x0781"}), ("product", {"id": "0x5581"})]


def test_one_of_two_that_are_alike_is_given_by_its_numbers_too_which_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    made = given(monkeypatch, "2.3", every=(*EVERY, TWIN))
    address = ET.fromstring(made.device).find("source/address")
    assert address is not None
    assert address.attrib == {"bus": "2", "device": "3"}
    assert said(made) == [("usb.numbers", "WARN")]


def test_the_only_keyboard_on_usb_goes_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(given(monkeypatch, "046d:c31c")) == [("usb.only_keyboard", "WARN")]
    second = UsbDevice(1, 5, "046d:c31d", keyboard=True)
    assert said(given(monkeypatch, "046d:c31c", every=(*EVERY, second))) == []


@pytest.mark.parametrize(("other", "severity"), [
    (guest("db", HAS.format(""), HAS.format(PLACE)), "BLOCK"), (guest("db", HAS.format("")), "WARN"),
])  # fmt: skip
def test_what_another_guest_runs_with_is_refused_and_what_it_will_have_is_said(
    monkeypatch: pytest.MonkeyPatch, other: Guest, severity: str
) -> None:
    made = given(monkeypatch, "0781:5581", other)
    assert said(made) == [("usb.in_use", severity)]
    assert "db" in made.findings[0].message


def test_a_twin_that_another_guest_runs_with_is_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    other = guest("db", HAS.format(PLACE), HAS.format(PLACE))
    assert said(given(monkeypatch, "2.3", other, every=(*EVERY, TWIN))) == [("usb.numbers", "WARN")]


def test_a_stick_that_this_host_has_mounted_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = given(monkeypatch, "0781:5581", mounts=("/backup",))
    assert said(made) == [("usb.in_use", "BLOCK")]
    assert "/backup" in made.findings[0].message


def test_a_guest_that_has_it_or_has_no_usb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(given(monkeypatch, "0781:5581", own=guest(devices=HAS.format("")))) == [("usb.in_use", "BLOCK")]
    without = guest(devices="<controller type='usb' model='none'/>")
    assert said(given(monkeypatch, "0781:5581", own=without)) == [("usb.no_controller", "BLOCK")]


@pytest.mark.parametrize("word", ["0781:5581", "1.12"])
def test_what_goes_is_what_is_configured_though_the_running_guest_has_its_numbers_too(word: str) -> None:
    own = guest(devices=HAS.format(""), live=HAS.format(PLACE))
    found = hotplug.usb_named("web", own.xml, own.live_xml, word)
    assert ET.fromstring(found).find("source/address") is None
    assert hotplug.called(found) == "the USB device 0781:5581"


@pytest.mark.parametrize("word", ["0781:5581", "1.12"])
def test_it_goes_for_good_as_a_device_that_is_named_without_its_kind(word: str) -> None:
    about = Subject(guest(devices=HAS.format(""), live=HAS.format(PLACE)), "local", "qemu:///system", local=True,
                    managed=False)  # fmt: skip
    found = attach.meant(about, about.guest.live_xml, word, None)
    assert places._where(about, Change("detach", found)) == ["live", "config"]


def test_of_two_that_are_alike_one_is_named_by_its_numbers() -> None:
    both = guest(devices=HAS.format(PLACE) + HAS.format("<address bus='2' device='3'/>")).xml
    assert "device='3'" in hotplug.usb_named("web", both, both, "2.3").replace('"', "'")
    with pytest.raises(Refused) as caught:
        hotplug.usb_named("web", both, both, "0781:5581")
    assert caught.value.hints == ("Name one of them: 1.12, 2.3",)


def test_one_that_the_guest_has_not_is_answered_with_what_it_has() -> None:
    own = guest(devices=HAS.format(""))
    with pytest.raises(Refused) as caught:
        hotplug.usb_named("web", own.xml, own.xml, "0781:5582")
    assert caught.value.code == "device.unknown"
    assert "0781:5581" in str(caught.value)
