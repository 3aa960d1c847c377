"""Devices are put into a domain and taken out again in place: every other byte stays."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from vfioctl.actions.equip.devices import Outfit, dressed, merged, undressed
from vfioctl.actions.equip.looking_glass import mebibytes
from vfioctl.actions.equip.record import Equipment, equipment, way_back
from vfioctl.actions.hostdev_mode import Before
from vfioctl.errors import Refused
from vfioctl.events.domain import read_domain
from vfioctl.testing.domains import UUID, domain

GPU, SOUND, OTHER = "0000:01:00.0", "0000:01:00.1", "0000:05:00.0"
KEYBOARD, MOUSE = "/dev/input/by-id/usb-K-event-kbd", "/dev/input/by-id/usb-M-event-mouse"
SCREENS = """
    <!-- hand-made -->
    <graphics type='spice' autoport='yes'/><video><model type='qxl'/></video>
    <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <audio id='1' type='spice'/>
"""
XML = domain("win11", devices=SCREENS, rest="<features>\n    <acpi/>\n  </features>").encode()
EVERYTHING = Outfit(
    hostdevs=(GPU, SOUND), roms={GPU: "/srv/card.rom"}, inputs=(KEYBOARD, MOUSE), keyboards=frozenset({KEYBOARD}),
    memory=64, without_display=True, hidden=True,
)  # fmt: skip


def test_what_was_put_in_is_what_libvirt_reads() -> None:
    read = read_domain(dressed(XML, EVERYTHING)[0])
    assert [(one.address, one.managed) for one in read.hostdevs] == [(GPU, False), (SOUND, False)]
    assert read.evdev_inputs == (KEYBOARD, MOUSE)
    assert read.needs
    assert [(one.role, one.path) for one in read.needs.files if one.role == "rom"] == [("rom", "/srv/card.rom")]


def test_the_screen_goes_with_all_that_hangs_on_spice_and_nothing_else() -> None:
    text = dressed(XML, Outfit(without_display=True))[0].decode()
    gone = [word for word in ("graphics", "qxl", "spicevmc", "'spice'") if word in text]
    assert (gone, "guest_agent" in text, "hand-made" in text, '<model type="none" />' in text) == ([], True, True, True)


@pytest.mark.parametrize("outfit", [
    Outfit(hostdevs=(GPU, SOUND)), Outfit(inputs=(KEYBOARD,)), Outfit(memory=32), Outfit(hidden=True),
    Outfit(hostdevs=(GPU,), roms={GPU: "/srv/card.rom"}),
], ids=["hostdevs", "inputs", "memory", "hidden", "rom"])  # fmt: skip
def test_what_was_put_in_is_taken_out_to_the_byte(outfit: Outfit) -> None:
    wanted, put = dressed(XML, outfit)
    assert wanted != XML
    assert undressed(wanted, put) == XML


@pytest.mark.parametrize("features", [
    "", "<features/>", "<features>\n  <acpi/>\n  <kvm>\n    <poll-control state='on'/>\n  </kvm>\n</features>",
], ids=["none", "empty", "others"])  # fmt: skip
def test_a_hypervisor_is_hidden_and_shown_again_whatever_features_there_are(features: str) -> None:
    before = domain("win11", rest=features).encode()
    wanted, put = dressed(before, Outfit(hidden=True))
    assert ET.fromstring(wanted).findall("features/kvm/hidden[@state='on']")
    back = undressed(wanted, put)
    assert (b"hidden" in back, b"poll-control" in back) == (False, b"poll-control" in before)
    assert [one.tag for one in ET.fromstring(back).iterfind("features/*")] == [
        one.tag for one in ET.fromstring(before).iterfind("features/*")
    ]


def test_a_screen_that_was_taken_away_comes_back_as_the_last_devices() -> None:
    wanted, put = dressed(XML, Outfit(without_display=True))
    back, *rest = (sorted("".join(xml.decode().split())) for xml in (undressed(wanted, put), XML))
    assert [back] == rest
    assert read_domain(undressed(wanted, put)).name == "win11"


def test_what_is_there_already_is_not_put_in_twice_nor_taken_out() -> None:
    there = domain("win11", hostdevs=(GPU,)).encode()
    wanted, put = dressed(there, Outfit(hostdevs=(GPU, SOUND)))
    assert put.hostdevs == (SOUND,)
    assert read_domain(wanted).pci_addresses == (GPU, SOUND)
    assert read_domain(undressed(wanted, put)).pci_addresses == (GPU,)


def test_a_rom_of_a_device_that_was_there_goes_and_the_device_stays() -> None:
    there = domain("win11", hostdevs=(GPU, SOUND)).encode()
    wanted, put = dressed(there, Outfit(roms={GPU: "/srv/card.rom"}))
    assert wanted.count(b"<rom ") == 1
    assert undressed(wanted, put) == there


def test_a_domain_whose_devices_say_nothing_is_refused() -> None:
    with pytest.raises(Refused, match="<devices>"):
        dressed(b"<domain><devices/></domain>", Outfit(hostdevs=(GPU,)))


# ---------------------------------------------------------------- the way back


def test_a_domain_that_nobody_touched_goes_back_to_the_byte() -> None:
    made = b"<what libvirt made of it/>"
    wanted, put = dressed(XML, EVERYTHING)
    back = way_back(made, Before(UUID, ()), Equipment(XML, put, made))
    assert (back.xml, back.edited, wanted == XML) == (XML, False, False)


def test_a_domain_whose_mark_of_an_operation_has_gone_goes_back_to_the_byte() -> None:
    wanted, put = dressed(XML, EVERYTHING)
    marked = wanted.replace(b"</uuid>", b"</uuid>\n  <metadata/>", 1)
    back = way_back(marked, Before(UUID, ()), Equipment(XML, put, wanted))
    assert (back.xml, back.edited, marked == wanted) == (XML, False, False)


def test_an_edited_one_loses_only_what_was_put_in_and_managed_is_as_it_was() -> None:
    wanted, put = dressed(domain("win11", hostdevs=(OTHER,)).encode(), Outfit(hostdevs=(GPU,)))
    edited = wanted.replace(b"8388608", b"4194304")
    back = way_back(edited, Before(UUID, (OTHER,)), Equipment(XML, put, wanted))
    read = read_domain(back.xml)
    assert [(one.address, one.managed) for one in read.hostdevs] == [(OTHER, True)]
    assert (back.edited, read.memory_bytes) == (True, 4 << 30)


def test_what_is_kept_is_read_again_as_it_was() -> None:
    wanted, put = dressed(XML, EVERYTHING)
    kept = Equipment(XML, merged(put, dressed(wanted, Outfit(hostdevs=(OTHER,)))[1]), wanted)
    assert equipment(Before(UUID, (), kept.as_json()), "/x.json") == kept


@pytest.mark.parametrize("equipped", [{}, [], {"former": 1, "made": "", "put": {}}, {"former": "", "made": ""}])
def test_a_damaged_record_is_named(equipped: object) -> None:
    with pytest.raises(Refused, match=r"/x\.json does not say what `enable` put into the domain"):
        equipment(Before(UUID, (), equipped), "/x.json")


@pytest.mark.parametrize(("screen", "size"), [
    ("1920x1080", 32), ("2560x1440", 64), ("3840x2160", 128), ("7680x4320", 512), ("800X600", 32),
])  # fmt: skip
def test_looking_glass_gets_a_power_of_two_that_two_frames_fit_into(screen: str, size: int) -> None:
    assert mebibytes(screen) == size


@pytest.mark.parametrize("screen", ["", "big", "1920", "0x0", "1920x1080x2", "99999999x1"])
def test_what_is_no_screen_is_refused(screen: str) -> None:
    with pytest.raises(Refused, match="WIDTHxHEIGHT"):
        mebibytes(screen)
