"""The table of driver versions: only rows with a source, and versions compared as numbers."""

from __future__ import annotations

import pytest
from known_bad import NO_SOURCES, check_row, rejects
from vfioctl_nvidia.known_bad import KNOWN_BAD, KnownBad, known_bad


@pytest.mark.parametrize("row", KNOWN_BAD)
def test_every_row_has_a_source(row):
    check_row(row)


@pytest.mark.parametrize("source", NO_SOURCES)
def test_a_row_without_a_source_is_rejected(source):
    assert rejects(KnownBad("1.0", None, "it hangs", source))


@pytest.mark.parametrize("version", ["595", "595.58.03", "595.99.02", "610.57.04", "999.1"])
def test_versions_that_hang_are_known(version):
    assert known_bad(version) is not None


@pytest.mark.parametrize("version", ["590.48.01", "575.64", "470.256.02", "390.157", "60.0"])
def test_versions_before_the_fault_are_good(version):
    assert known_bad(version) is None


def test_a_version_that_is_no_number_is_covered_by_no_row():
    assert known_bad("") is None
    assert known_bad("unknown") is None
