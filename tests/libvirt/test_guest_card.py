"""`vfioctl guest start` and `stop` of a guest with a card: the hook lets the operation's own start go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from vfioctl.testing import scenarios

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
pytest.importorskip("vfioctl_guest")
GPU, NAME = "0000:01:00.0", "win11"
GIVEN, HOME = ["vfio-pci", "vfio-pci"], ("nvidia", "snd_hda_intel")


@pytest.fixture
def house(make_house: Callable[..., Any]) -> Any:
    made = make_house(replace(scenarios.two_gpu(logged_in=False), systemd=False))
    made.guest(NAME, GPU)
    return made


def test_a_guest_is_started_with_its_card_by_a_process_of_its_own_and_brings_it_home(house):
    started = house.verb("guest", "start", NAME)
    assert started.returncode == 0, started.stdout + started.stderr + house.log()
    assert house.lab.state(NAME) == "running"
    assert house.drivers() == GIVEN
    stopped = house.verb("guest", "stop", NAME, "--force")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert house.comes_home(*HOME), house.log()


def test_a_start_that_the_hook_refuses_says_why_and_leaves_the_guest_off(house):
    house.guest("other", GPU)
    assert house.verb("guest", "start", NAME).returncode == 0
    refused = house.verb("guest", "start", "other")
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert NAME in refused.stdout + refused.stderr
    assert house.lab.state("other") == "shut off"
    assert house.drivers() == GIVEN
    assert house.verb("guest", "stop", NAME, "--force").returncode == 0
    assert house.comes_home(*HOME), house.log()
