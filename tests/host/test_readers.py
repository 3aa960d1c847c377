"""Small reads: what is not there, not ours or garbled is a value."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfioctl.host import readers

if TYPE_CHECKING:
    from pathlib import Path


def test_text_is_read_without_its_newline(tmp_path: Path) -> None:
    (tmp_path / "bind").write_text("(M) frame buffer device\n")
    assert readers.text(str(tmp_path / "bind")) == "(M) frame buffer device"


def test_text_of_a_missing_attribute_is_none(tmp_path: Path) -> None:
    assert readers.text(str(tmp_path / "boot_vga")) is None


def test_text_of_a_directory_is_none(tmp_path: Path) -> None:
    assert readers.text(str(tmp_path)) is None


def test_text_below_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert readers.text(str(tmp_path / "file" / "below")) is None


def test_text_keeps_bytes_that_are_no_utf8_apart(tmp_path: Path) -> None:
    (tmp_path / "label").write_bytes(b"a\xffb\n")
    assert readers.text(str(tmp_path / "label")) == "a\ufffdb"


def test_an_error_that_does_not_mean_gone_is_raised(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for read in (readers.raw, readers.entries):
        with pytest.raises(OSError, match="symbolic links"):
            read(str(tmp_path / "loop"))


def test_a_link_name_whose_path_loops_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        readers.link_name(str(tmp_path / "loop" / "driver"))


@pytest.mark.parametrize(("said", "base", "number"), [("12", 10, 12), ("0x10de", 0, 0x10DE), ("-1", 10, -1)])
def test_a_number_is_read_in_its_base(tmp_path: Path, said: str, base: int, number: int) -> None:
    (tmp_path / "n").write_text(f"{said}\n")
    assert readers.number(str(tmp_path / "n"), base) == number


@pytest.mark.parametrize("said", ["", "0x", "many", "1 2", "\0"])
def test_a_malformed_number_is_none(tmp_path: Path, said: str) -> None:
    (tmp_path / "n").write_text(said)
    assert readers.number(str(tmp_path / "n"), 0) is None


def test_a_missing_number_is_none(tmp_path: Path) -> None:
    assert readers.number(str(tmp_path / "n")) is None


@pytest.mark.parametrize(("said", "value"), [("1\n", True), ("0\n", False), ("2\n", None), ("", None)])
def test_a_flag_says_yes_no_or_nothing(tmp_path: Path, said: str, value: object) -> None:
    (tmp_path / "boot_vga").write_text(said)
    assert readers.flag(str(tmp_path / "boot_vga")) is value


def test_a_missing_flag_says_nothing(tmp_path: Path) -> None:
    assert readers.flag(str(tmp_path / "boot_vga")) is None


def test_a_link_is_named_by_its_target_even_when_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "driver").symlink_to("../../bus/pci/drivers/nvidia")
    assert readers.link_name(str(tmp_path / "driver")) == "nvidia"


def test_a_missing_link_and_a_plain_file_have_no_target(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert readers.link_name(str(tmp_path / "driver")) is None
    assert readers.link_name(str(tmp_path / "file")) is None


def test_entries_are_sorted_and_none_when_the_directory_is_missing(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).touch()
    assert readers.entries(str(tmp_path)) == ("a", "b")
    assert readers.entries(str(tmp_path / "none")) == ()


def test_a_device_number_is_major_and_minor(tmp_path: Path) -> None:
    (tmp_path / "dev").write_text("226:128\n")
    assert readers.device_number(str(tmp_path / "dev")) == (226, 128)


@pytest.mark.parametrize("said", ["", "226", "226:", ":1", "a:b", "-1:2"])
def test_a_malformed_device_number_is_none(tmp_path: Path, said: str) -> None:
    (tmp_path / "dev").write_text(said)
    assert readers.device_number(str(tmp_path / "dev")) is None


@given(st.binary(max_size=64))
def test_no_content_of_a_kernel_file_raises(content: bytes) -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, content + b"\n")
        path = f"/proc/self/fd/{reading}"
        readers.number(path, 0)
    finally:
        os.close(reading)
        os.close(writing)


def test_a_table_of_the_kernel_is_read_beyond_its_first_page() -> None:
    first, whole = readers.raw("/proc/self/maps", 1 << 20), readers.table("/proc/self/maps", 1 << 20)
    assert first is not None
    assert whole is not None
    assert len(first) <= os.sysconf("SC_PAGE_SIZE") < len(whole)
    assert b"[stack]" in whole


def test_a_table_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("x" * 100)
    assert readers.table(str(tmp_path / "table"), 60) == b"x" * 60
    assert readers.table(str(tmp_path / "none"), 60) is None
