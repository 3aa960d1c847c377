"""Each scenario once, there and back, through the installed shim: what the other matrices then interrupt."""

from __future__ import annotations

import os

import pytest
from hand_offs import SCENARIOS, stage


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_card_goes_to_the_guest_and_comes_home(scenario, tmp_path):
    with stage(scenario, tmp_path) as on:
        started = on.start()
        assert started.status == 0, started.stderr
        for address in scenario.addresses:
            assert os.path.basename(os.readlink(on.host.paths.pci(address, "driver"))) == "vfio-pci"
        on.stop()
        assert on.wait_for_return()
        assert on.differences(*scenario.kept) == ()
