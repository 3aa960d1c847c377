"""Plain `enable` and `disable` with libvirt-python on a real libvirtd: domain, guest file and pins, or nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vfioctl.testing import scenarios
from vfioctl.testing.crash import crash_at

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
NAME = "win11"
CARD = (
    '<hostdev mode="subsystem" type="pci" managed="yes"><source>'
    '<address domain="0x0000" bus="0x01" slot="0x00" function="0x0"/></source></hostdev>'
)


@pytest.fixture
def house(make_house: Callable[..., Any]) -> Any:
    made = make_house(replace(scenarios.two_gpu(logged_in=False), systemd=False))
    made.guest(NAME, manage=False, xml=CARD)
    return made


def state(house: Any) -> tuple[str, list[str]]:
    """The domain, and what vfioctl keeps about guests; what `disable` puts aside is for the next `enable`."""
    paths = house.host.paths
    places = paths.guest_configs, *(os.path.dirname(path) for path in (paths.identity("x"), paths.before_enable("x")))
    kept = sorted(str(file) for place in places for file in Path(place).glob("*"))
    return str(house.lab.virsh("dumpxml", "--inactive", "--security-info", NAME).stdout), kept


def test_each_that_is_killed_at_any_boundary_leaves_all_or_nothing(house: Any) -> None:
    off = state(house)
    ended = house.own("enable", NAME)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "The domain was changed as shown." in ended.stdout
    on = state(house)
    assert ("managed='no'" in on[0], len(on[1])) == (True, 3)
    assert (house.own("disable", NAME).returncode, state(house)) == (0, off)
    for verb, before, after in (("enable", off, on), ("disable", on, off)):
        for number in range(1, 40):
            crash_at(house.host.root, number)
            ended = house.own(verb, NAME)
            crash_at(house.host.root, None)
            if ended.returncode == 0:
                break
            assert ended.returncode == -signal.SIGKILL, ended.stdout + ended.stderr
            settled = house.own("recover")
            assert settled.returncode == 0, settled.stdout + settled.stderr
            found = state(house)
            assert found in (before, after), (verb, number)
            if found == after:  # all was done, and only the end not written
                assert house.own("disable" if verb == "enable" else "enable", NAME).returncode == 0
        assert (number > 8, state(house)) == (True, after)
    assert house.is_over()
