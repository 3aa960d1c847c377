"""`vfioctl guest start` and `stop` of a guest with a card: the hook lets the operation's own start go on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from libvirt_machine import uri_of

from vfioctl.testing import scenarios

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
pytest.importorskip("vfioctl_guest")
GPU, NAME = "0000:01:00.0", "win11"
GIVEN, HOME = ["vfio-pci", "vfio-pci"], ("nvidia", "snd_hda_intel")
SECONDS = 60.0
# The daemon of the lab is that of the simulated host, whose root is not "/".
ENTRY = """
import sys
from vfioctl.actions import libvirt
from vfioctl.testing.entry import main
libvirt.OURS = sys.argv[2]
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def house(make_house: Callable[..., Any]) -> Any:
    made = make_house(replace(scenarios.two_gpu(logged_in=False), systemd=False))
    made.guest(NAME, GPU)
    return made


def guest(house: Any, *argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", ENTRY, "--root", house.host.root, "guest", *argv]
    command += ["--node", uri_of(house.lab)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, cwd="/")


def test_a_guest_is_started_with_its_card_by_a_process_of_its_own_and_brings_it_home(house):
    started = guest(house, "start", NAME)
    assert started.returncode == 0, started.stdout + started.stderr + house.log()
    assert house.lab.state(NAME) == "running"
    assert house.drivers() == GIVEN
    stopped = guest(house, "stop", NAME, "--force")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert house.comes_home(*HOME), house.log()


def test_a_start_that_the_hook_refuses_says_why_and_leaves_the_guest_off(house):
    house.guest("other", GPU)
    assert guest(house, "start", NAME).returncode == 0
    refused = guest(house, "start", "other")
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert NAME in refused.stdout + refused.stderr
    assert house.lab.state("other") == "shut off"
    assert house.drivers() == GIVEN
    assert guest(house, "stop", NAME, "--force").returncode == 0
    assert house.comes_home(*HOME), house.log()
