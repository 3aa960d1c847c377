"""Sixteen real guests that a real libvirtd starts and destroys at one instant: all come home, none holds it up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from vfioctl.testing import scenarios
from vfioctl.wait import until

CARDS = 16
RELEASE_SECONDS = 15.0  # the default deadline of the part of the return that libvirt waits for
PATIENCE = 120.0
CLOCK = '[ "$2" = release ] && printf "%s {} %s\\n" "$1" "$(date +%s.%N)" >>{}/times\nexit 0\n'


def name(number: int) -> str:
    return f"guest{number}"


def card(number: int) -> str:
    return f"0000:{0x10 + number:02x}:00.0"


@pytest.fixture(params=[True, False], ids=["systemd", "no-systemd"])
def house(request: pytest.FixtureRequest, make_house: Callable[..., Any]) -> Any:
    """A rack of NVIDIA cards with a guest for each, and a clock before and after our hook."""
    house = make_house(replace(scenarios.rack(CARDS), systemd=request.param))
    for number in range(CARDS):
        house.guest(name(number), card(number))
    for place, when in (("00-before", "begin"), ("99-after", "end")):
        house.lab.hook(place, CLOCK.format(when, house.lab.work))
    return house


def at_once(house: Any, command: str) -> list[str]:
    """`virsh COMMAND` for every guest, all at one instant; what went wrong."""
    clients = [house.lab.virsh_in_background(command, "--domain", name(number)) for number in range(CARDS)]
    said = [client.communicate(timeout=PATIENCE)[1] for client in clients]
    return [error for client, error in zip(clients, said, strict=True) if client.returncode]


def seconds(house: Any) -> dict[str, float]:
    """How long libvirt waited for our `release` of each guest."""
    times: dict[str, dict[str, float]] = {}
    for line in (house.lab.work / "times").read_text().splitlines():
        guest, when, at = line.split()
        times.setdefault(guest, {})[when] = float(at)
    return {guest: known["end"] - known["begin"] for guest, known in times.items()}


def drivers(house: Any) -> set[str]:
    return set(house.drivers(*map(card, range(CARDS))))


def test_guests_that_are_started_and_destroyed_at_one_instant_get_their_cards_and_all_come_home(house: Any) -> None:
    assert at_once(house, "start") == []
    assert drivers(house) == {"vfio-pci"}
    assert at_once(house, "destroy") == []
    assert len(seconds(house)) == CARDS
    assert max(seconds(house).values()) <= RELEASE_SECONDS
    assert until(house.is_over, PATIENCE), house.log()
    assert drivers(house) == {"nvidia"}
    assert house.lab.virsh("list", "--name").stdout.split() == []
