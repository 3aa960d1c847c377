"""Each scenario once, there and back, through the installed shim: what the other matrices then interrupt."""

from __future__ import annotations

import os

import pytest
from hand_offs import SCENARIOS, stage

from vfioctl.txn.journal import read_both
from vfioctl.testing.domains import UUID


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_card_goes_to_the_guest_and_comes_home(scenario, tmp_path):
    with stage(scenario, tmp_path) as on:
        started = on.start()
        assert started.status == 0, started.stderr
        for address in scenario.addresses:
            assert os.path.basename(os.readlink(on.host.paths.pci(address, "driver"))) == "vfio-pci"
        on.stop()
        assert on.wait_for_return()
        assert on.differences() == ()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_boundary_is_a_line_of_the_journal(scenario, tmp_path):
    with stage(scenario, tmp_path) as on:
        on.crash_at(None)
        assert on.prepare().status == 0
        story = read_both(on.host.paths, UUID)
        assert len(on.boundaries()) == len(story.records) > 0
