"""Many guests at one instant: nobody who may start and stop guests can leave a card behind, or hold libvirt up."""

from __future__ import annotations

from pathlib import Path

import pytest
from racks import CARDS, GIVEN, HOME, Rack, machine

from vfioctl.limits import Limits
from vfioctl.testing.host import FakeHost


@pytest.mark.parametrize("count", [CARDS - 1, CARDS])
def test_guests_that_end_at_one_instant_leave_no_card_behind_although_nothing_proves_their_return(
    tmp_path: Path, count: int
) -> None:
    with FakeHost(machine(), tmp_path) as host:
        rack = Rack(host, count)
        assert [call.status for call in rack.start(*rack.guests)] == [0] * count
        assert {rack.driver(guest) for guest in rack.guests} == {GIVEN}
        rack.expect_in_vain(*rack.guests)
        calls = rack.stop(*rack.guests)
        assert [call.status for call in calls] == [0] * count
        assert max(call.seconds or 0.0 for call in calls) <= Limits().release
        assert rack.is_home()
        assert {rack.driver(guest) for guest in rack.guests} == {HOME}
        assert rack.ledger() == ()
        assert host.kernel.inhibitors() == []
        assert "UNFINISHED" not in rack.command("status").stdout
        assert rack.bugs() == ()
