"""One simulated machine for all tests of a module that let guests contend; at rest between two tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from three_guests import House, machine

from vfioctl.testing.host import FakeHost


@pytest.fixture(scope="module")
def only_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with FakeHost(machine(), tmp_path_factory.mktemp("house")) as host:
        one = House(host)
        yield one
        one.raze()


@pytest.fixture
def house(only_house: House) -> Iterator[House]:
    """The machine at rest; it must be so again afterwards."""
    try:
        yield only_house
        only_house.calm_down()
        assert only_house.differences() == ()
        assert only_house.bugs() == ()
    finally:
        if only_house.children or only_house.holders() or only_house.differences():
            only_house.raze()
