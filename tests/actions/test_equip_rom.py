"""A file is taken as the ROM of a card only when it is one, whole, for that card, and open to QEMU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from option_roms import LEGACY, UEFI, image, rom

from vfioctl.actions.equip.rom import check_rom
from vfioctl.errors import Refused
from vfioctl.host.model import PciDevice
from vfioctl.paths import Paths

CARD = PciDevice("0000:01:00.0", 0x030000, 0x10DE, 0x2206, driver="nouveau", boot_vga=True)
FILE = "/srv/card.rom"
GOOD = rom()


@pytest.fixture
def host(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    (tmp_path / "srv").mkdir(mode=0o755)
    return tmp_path


def put(host: Path, data: bytes, mode: int = 0o644) -> None:
    file = host / FILE.strip("/")
    file.write_bytes(data)
    file.chmod(mode)


def refused(host: Path, path: str = FILE) -> Refused:
    with pytest.raises(Refused) as raised:
        check_rom(Paths(str(host)), path, CARD)
    assert raised.value.state == "Nothing was changed."
    return raised.value


def test_the_images_of_a_good_rom_are_read(host: Path) -> None:
    put(host, GOOD)
    assert [one.kind for one in check_rom(Paths(str(host)), FILE, CARD)] == [LEGACY, UEFI]


def test_a_rom_that_lists_the_card_among_others_is_for_it_too(host: Path) -> None:
    data = bytearray(image(0x10DE, 0x1111))
    data[0x48:0x4A], data[0x60:0x64] = b"\x20\x00", b"\x06\x22\x00\x00"
    data[-1] = (data[-1] - sum(data)) % 256
    put(host, bytes(data))
    assert check_rom(Paths(str(host)), FILE, CARD)[0].others == (0x2206,)


@pytest.mark.parametrize(("data", "code"), [
    (b"", "rom.header"),
    (b"MZ" + GOOD[2:], "rom.header"),
    (GOOD[:-1], "rom.size"),
    (GOOD[:-512], "rom.structure"),
    (GOOD.replace(b"PCIR", b"RICP", 1), "rom.structure"),
    (GOOD[:0x50] + b"\0\0" + GOOD[0x52:], "rom.structure"),
    (rom(0x1002, 0x73BF), "rom.other_card"),
    (GOOD[:0x90] + b"\x01" + GOOD[0x91:], "rom.checksum"),
    (GOOD + bytes(16 << 20), "rom.unreadable"),
])  # fmt: skip
def test_what_is_no_rom_for_the_card_is_refused_by_its_code(host: Path, data: bytes, code: str) -> None:
    put(host, data)
    assert refused(host).code == code


def test_a_header_of_a_flashing_tool_is_named_with_what_cuts_it_off(host: Path) -> None:
    put(host, b"NVGI".ljust(1024, b"\0") + GOOD)
    assert refused(host).hints == (
        "One begins at byte 1024. Cut off what is before: tail -c +1025 /srv/card.rom > /srv/card-cut.rom",
    )


@pytest.mark.parametrize("path", ["card.rom", "/srv/none.rom", "/srv"])
def test_a_path_that_leads_to_no_file_is_refused(host: Path, path: str) -> None:
    assert refused(host, path).code == "rom.unreadable"


def test_a_fifo_does_not_hold_up_the_command(host: Path) -> None:
    os.mkfifo(host / "srv/card.rom")
    assert refused(host).code == "rom.unreadable"


@pytest.mark.parametrize(("mode", "above"), [(0o600, 0o755), (0o644, 0o700)])
def test_a_file_that_is_closed_to_qemu_is_refused_with_where_it_would_be_open(
    host: Path, mode: int, above: int
) -> None:
    put(host, GOOD, mode)
    (host / "srv").chmod(above)
    why = refused(host)
    assert why.code == "rom.closed"
    assert "install -D -m 644 /srv/card.rom /usr/share/vgabios/card.rom" in why.hints[0]


def test_a_file_of_the_user_of_qemu_is_open_to_it(host: Path) -> None:
    put(host, GOOD, 0o600)
    (host / "etc").mkdir()
    (host / "etc/passwd").write_text(f"libvirt-qemu:x:{(host / 'srv').stat().st_uid}:0::/:/bin/false\n")
    assert check_rom(Paths(str(host)), FILE, CARD)


@pytest.mark.parametrize(("rule", "code"), [("", "rom.closed"), ("  /srv/** r,\n", ""), ("  /srv/* rk,\n", "")])
def test_where_apparmor_confines_guests_a_rule_must_let_them_read_it(host: Path, rule: str, code: str) -> None:
    put(host, GOOD)
    rules = f"  /usr/share/vgabios/** r,\n{rule}"
    for name, text in (("sys/kernel/security/apparmor/profiles", "libvirtd (enforce)\n"),
                       ("etc/apparmor.d/abstractions/libvirt-qemu", rules)):  # fmt: skip
        (host / name).parent.mkdir(parents=True)
        (host / name).write_text(text)
    if code:
        assert refused(host).code == code
    else:
        assert check_rom(Paths(str(host)), FILE, CARD)
