"""The table of kernels: only rows with a source, keyed on kernel, family and the way the card is freed."""

from __future__ import annotations

import pytest
from known_bad import NO_SOURCES, check_row, rejects
from vfioctl_amdgpu.family import Family
from vfioctl_amdgpu.known_bad import BY_UNBIND, BY_UNLOAD, KNOWN_BAD, KnownBad, known_bad


@pytest.mark.parametrize("row", KNOWN_BAD)
def test_every_row_has_a_source(row):
    check_row(row)
    assert row.way in (BY_UNLOAD, BY_UNBIND)


@pytest.mark.parametrize("source", NO_SOURCES)
def test_a_row_without_a_source_is_rejected(source):
    assert rejects(KnownBad("6.1", None, Family.RDNA2, BY_UNLOAD, "it freezes", source))


@pytest.mark.parametrize("kernel", ["6.18.7", "6.18.7-arch1-1", "6.19.0-rc6", "7.0.0"])
def test_an_unload_of_rdna2_is_bad_since_6_18_7(kernel):
    assert known_bad(kernel, Family.RDNA2, BY_UNLOAD)


def test_an_unload_of_rdna2_is_good_before_6_18_7():
    assert known_bad("6.18.6-1-lts", Family.RDNA2, BY_UNLOAD) is None


def test_an_unbind_of_rdna2_is_not_bad():
    assert known_bad("6.18.7", Family.RDNA2, BY_UNBIND) is None


def test_other_families_unload():
    assert known_bad("6.18.7", Family.OTHER, BY_UNLOAD) is None
