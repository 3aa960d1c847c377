"""Which command lines are libvirt's and which are a person's."""

from __future__ import annotations

import pytest

from vfioctl.entry import is_from_libvirt


@pytest.mark.parametrize(
    "argv",
    [
        ["hook", "win11", "prepare", "begin", "-"],
        ["hook", "install", "prepare", "begin", "-"],
        ["hook", "-h", "release", "end", "-"],
        ["hook", "win11", "an operation of a newer libvirt", "begin", "-"],
        ["hook", "win11", "prepare"],
    ],
)
def test_these_are_libvirts(argv: list[str]) -> None:
    assert is_from_libvirt(argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["hook"],
        ["hook", "-h"],
        ["hook", "--help"],
        ["hook", "lst"],
        ["hook", "verify"],
        ["hook", "--format", "json", "verify"],
        ["hook", "verify", "--format", "json", "--no-color"],
        ["status"],
        [],
    ],
)
def test_these_are_a_persons(argv: list[str]) -> None:
    assert not is_from_libvirt(argv)
