"""A PCI address is read from whatever text has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfioctl.events.address import read_address


@pytest.mark.parametrize(
    "text",
    [
        "0000:01:00.0", "01:00.0", "00000000:01:00.0", "000:1:0.0", "0x0000:0x01:0x00.0", " 0000:01:00.0\n",
        "001:000.00",
    ],
)  # fmt: skip
def test_one_function_is_one_address_however_it_is_written(text):
    assert read_address(text) == "0000:01:00.0"


@pytest.mark.parametrize("text", ["10000:E1:1F.7", "00010000:e1:1f.7"])
def test_a_domain_of_more_than_four_digits_keeps_them(text):
    assert read_address(text) == "10000:e1:1f.7"


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "01:00", "0000:01:00", "01:20.0", "01:00.8", "100:00.0", "100000000:01:00.0", "g1:00.0",
        "0:0:01:00.0", ":01:00.0", "01:00.", "0x:01:00.0", "-1:00.0", "1_0:00.0", "\u0661:00.0", "0x0x1:00.0",
    ],
)  # fmt: skip
def test_what_is_no_address_is_none(text):
    assert read_address(text) is None


@given(st.tuples(*(st.integers(0, limit) for limit in (0xFFFFFFFF, 0xFF, 0x1F, 7))))
def test_an_address_of_sysfs_is_itself(numbers):
    address = "{:04x}:{:02x}:{:02x}.{:x}".format(*numbers)
    assert read_address(address) == address
