"""Whatever libvirt lets a guest be called: the whole hand-off works, and the name is neither a path nor a command."""

from __future__ import annotations

import os

import pytest
from hand_offs import GPU, Stage

from vfioctl.kinds.common import driver_of
from vfioctl.testing.domains import UUID
from vfioctl.wait import until

NAMES = ("$HOME", "a ${PATH} b", "$(touch canary)'\"`touch canary`", "-rf", "..x", "x\x9b2J\t\u202eb", "é" * 125)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:12]))
def test_a_guest_of_any_name_gets_its_card_and_gives_it_back(stage: Stage, name: str):
    stage.libvirt.manage(name)
    xml = stage.scenario.xml(guest=name)
    before = sorted(os.listdir(stage.root))
    prepared = stage.libvirt.call(name, "prepare", "begin", xml)
    assert (prepared.status, prepared.stderr) == (0, "")
    assert driver_of(stage.host.paths, GPU) == "vfio-pci"
    if "$" in name:  # to systemd a variable
        assert until(lambda: any(stage.dead_man().values()), 10)
        assert not until(lambda: not stage.dead_man(), 1), "it must know its guest by the whole name"
    assert stage.libvirt.start(name, UUID, xml, addresses=(GPU,)).status == 0
    stage.libvirt.stop(name, xml)
    assert stage.wait_for_return()
    assert driver_of(stage.host.paths, GPU) == "igb"
    assert until(lambda: not stage.dead_man(), 10)
    assert sorted(os.listdir(stage.root)) == before
