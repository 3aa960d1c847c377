"""`enable` and `disable` through virsh and a real libvirtd, and what is said when none runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vfioctl.testing import scenarios

GPU = "0000:01:00.0"
CARD = (
    '<hostdev mode="subsystem" type="pci" managed="yes"><source>'
    '<address domain="0x0000" bus="0x01" slot="0x00" function="0x0"/></source></hostdev>'
)


@pytest.fixture
def house(make_house: Callable[..., Any]) -> Any:
    """A host whose virsh reaches the libvirtd in it."""
    house = make_house(replace(scenarios.two_gpu(logged_in=False), systemd=False))
    virsh = Path(house.host.paths.at("usr/bin/virsh"))
    virsh.unlink(missing_ok=True)
    virsh.write_text(f'#!/bin/sh\nPATH={os.environ["PATH"]}\nexec {shlex.join(house.lab.inside("virsh"))} "$@"\n')
    virsh.chmod(0o755)
    return house


def managed(house: Any) -> str:
    xml = house.lab.virsh("dumpxml", "--inactive", "win11").stdout
    return str(xml).partition("managed='")[2][:3].rstrip("'")


def test_enable_changes_the_definition_and_disable_restores_it(house: Any) -> None:
    house.guest("win11", manage=False, xml=CARD)
    before = house.lab.virsh("dumpxml", "--inactive", "--security-info", "win11").stdout
    done = house.cli("enable", "win11")
    assert done.returncode == 0, done.stderr
    assert "The domain was changed as shown." in done.stdout
    assert managed(house) == "no"
    assert house.cli("enable", "win11").returncode == 0
    assert house.cli("disable", "win11").returncode == 0
    assert house.lab.virsh("dumpxml", "--inactive", "--security-info", "win11").stdout == before


def test_a_guest_that_libvirt_does_not_have_is_named_with_the_nearest(house: Any) -> None:
    house.guest("win11", manage=False)
    refused = house.cli("plan", "win10")
    assert refused.returncode == 3
    assert "There is no guest 'win10'; did you mean \"win11\"? [guest.unknown]" in refused.stderr


def test_a_daemon_that_does_not_run_is_called_down(house: Any) -> None:
    house.guest("win11", manage=False)
    house.lab.stop()
    refused = house.cli("plan", "win11")
    house.lab.start()
    assert refused.returncode == 3
    assert "libvirt does not answer: " in refused.stderr
    assert "[libvirt.down]" in refused.stderr
    assert "error: error" not in refused.stderr
