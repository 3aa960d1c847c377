"""Sizes as people write them: one reading, or a refusal that says what was expected."""

from __future__ import annotations

import pytest

from vfioctl.errors import Refused
from vfioctl.sizes import as_size, size


@pytest.mark.parametrize(("text", "count"), [
    ("2G", 2 << 30), ("2GiB", 2 << 30), ("2 gib", 2 << 30), ("2GB", 2_000_000_000), ("512M", 512 << 20),
    ("32m", 32 << 20), ("1.5T", 3 << 39), ("64k", 64 << 10), ("4096B", 4096), (" 1P ", 1 << 50),
])  # fmt: skip
def test_a_number_with_a_unit_is_that_many_bytes(text: str, count: int) -> None:
    assert size(text) == count


def test_a_bare_number_is_refused_with_both_readings() -> None:
    with pytest.raises(Refused) as caught:
        size("2048")
    assert caught.value.code == "size.no_unit"
    assert "2048 MiB" in str(caught.value)
    assert "2048 KiB" in str(caught.value)


@pytest.mark.parametrize("text", ["", "G", "2X", "2Gi", "-2G", "+2G", "2G2", "0G", "0.3B", "1e3G", "٢G", "9999999P"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        size(text)
    assert caught.value.code == "size.malformed"
    assert repr(text) in caught.value.message


@pytest.mark.parametrize("text", ["0", "0G", "0.0", "00MiB"])
def test_nothing_is_no_size_whatever_its_unit(text: str) -> None:
    with pytest.raises(Refused) as caught:
        size(text)
    assert (caught.value.code, caught.value.hints) == ("size.malformed", ())
    assert "a size is larger than 0" in caught.value.message


def test_bytes_are_shown_in_the_unit_that_fits() -> None:
    assert [as_size(count) for count in (0, 1023, 2048, 3 << 20, 5 << 30, 1 << 40, 3 << 50)] == [
        "0 B", "1023 B", "2 KiB", "3.0 MiB", "5.0 GiB", "1.0 TiB", "3072.0 TiB",
    ]
