"""How long the hook holds a real libvirtd for the largest document that a client can define."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vfioctl.testing import scenarios

PIECES = 49_000  # elements between short texts: 3.9 MB, and libvirt takes no string of more than 4 MiB
SECONDS = 2.0  # that they may add to what the hook does in a start; they were 32 when each was copied for the next
HELD = 5.0  # that another question of the daemon may take meanwhile, on a busy machine


@pytest.fixture
def house(make_house: Callable[..., Any]) -> Any:
    return make_house(replace(scenarios.generic_nic(), systemd=False))


def define(house: Any, name: str, *, manage: bool, pieces: int) -> None:
    """A diskless guest with so many pieces of metadata."""
    uuid = house.guest(name, manage=manage)
    file = Path(house.lab.work, f"{uuid}.xml")
    metadata = f"<metadata><v:a xmlns:v='urn:v'>{('x' * 73 + '<a/>') * pieces}</v:a></metadata>"
    file.write_text(file.read_text().replace("<memory", f"{metadata}<memory"))
    house.lab.virsh("define", str(file))


def start(house: Any, name: str) -> tuple[float, float]:
    """Seconds that a start takes, and the most that a question about another guest takes meanwhile."""
    began, longest = time.monotonic(), 0.0
    client = house.lab.virsh_in_background("start", "--domain", name)
    while client.poll() is None:
        asked = time.monotonic()
        house.lab.virsh("dominfo", "--domain", "other")
        longest = max(longest, time.monotonic() - asked)
    took = time.monotonic() - began
    assert client.returncode == 0, client.stderr.read()
    house.lab.virsh("destroy", "--domain", name)
    return took, longest


def test_the_largest_metadata_holds_neither_the_start_nor_the_daemon(house: Any) -> None:
    house.guest("other", manage=False)
    took, held = {}, 0.0
    for manage, pieces in ((False, 1), (True, 1), (False, PIECES), (True, PIECES)):
        name = f"{manage}-{pieces}"
        define(house, name, manage=manage, pieces=pieces)
        start(house, name)  # what the first one of each loads
        took[manage, pieces], held = start(house, name)
    added = (took[True, PIECES] - took[False, PIECES]) - (took[True, 1] - took[False, 1])
    assert added < SECONDS, took
    assert held < HELD
