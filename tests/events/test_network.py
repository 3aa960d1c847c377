"""The XML of a virtual network, as far as it takes devices from the host."""

from __future__ import annotations

import pytest

from vfioctl.events.network import Pool, read_pool

LISTED = (
    "<forward mode='hostdev' managed='yes'><address type='pci' domain='0' bus='3' slot='16' function='2'/>"
    "<address type='pci' domain='0x0000' bus='0x03' slot='0x10' function='0x4'/></forward>"
)


def test_listed_functions_are_a_pool():
    assert read_pool(f"<network>{LISTED}</network>".encode()) == Pool(("0000:03:10.2", "0000:03:10.4"), ())


def test_a_physical_function_stands_for_its_virtual_ones():
    said = b"<network><forward mode='hostdev'><pf dev='eth3'/></forward></network>"
    assert read_pool(said) == Pool((), ("eth3",))


def test_a_status_file_has_the_network_inside():
    assert read_pool(f"<networkstatus><network>{LISTED}</network></networkstatus>".encode()) is not None


@pytest.mark.parametrize(
    "said",
    [
        b"", b"hostdev", b"<network><forward mode='nat'/><!-- hostdev --></network>", b"<network/>",
        b"<network><forward mode='hostdev'><address bus='999'/></forward></network>",
        b"<!DOCTYPE x [<!ENTITY hostdev 'x'>]><network/>",
    ],
)  # fmt: skip
def test_what_has_no_pool_or_cannot_be_read_is_none(said):
    assert read_pool(said) is None
