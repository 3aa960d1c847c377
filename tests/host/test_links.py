"""Network interfaces by name; by an alternative one only where the kernel that runs can be asked."""

from __future__ import annotations

import socket

import pytest

from vfioctl.host.links import name_of
from vfioctl.paths import Paths


@pytest.fixture
def names(monkeypatch):
    """A kernel that knows lan0 as an alternative name of br0."""
    monkeypatch.setattr(socket, "if_nametoindex", {"lan0": 7}.__getitem__)
    monkeypatch.setattr(socket, "if_indextoname", {7: "br0"}.__getitem__)


def test_an_interface_that_sysfs_shows_has_that_name(tmp_path):
    (tmp_path / "sys/class/net/br0").mkdir(parents=True)
    assert name_of(Paths(str(tmp_path)), "br0") == "br0"


@pytest.mark.usefixtures("names")
def test_an_alternative_name_leads_to_the_one_that_sysfs_shows():
    assert name_of(Paths("/"), "lan0") == "br0"


@pytest.mark.usefixtures("names")
def test_a_tree_that_is_not_this_machine_has_no_alternative_names(tmp_path):
    assert name_of(Paths(str(tmp_path)), "lan0") == ""


@pytest.mark.parametrize("name", ["no-such-link", "../net/lo", "a" * 300, "a\0b"])
def test_what_is_no_interface_has_no_name(name):
    assert name_of(Paths("/"), name) == ""
