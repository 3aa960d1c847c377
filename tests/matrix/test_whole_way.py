"""The tutorial about a first card, typed on a Debian that boots by its own loader: from a bare host, and back to it.

--regenerate writes what its commands have said on the page.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import tiny_guest
from debian_package import build
from wheel_set import ROOT, wheels

from tests.lab import loaders, payload, sources, state
from tests.lab.cache import Cache
from tests.lab.errors import CannotRun, LabError
from tests.lab.inside import tutorial
from tests.lab.machine import Machine
from tests.lab.session import Event, Order, Session

pytestmark = [
    pytest.mark.matrix,
    pytest.mark.timeout(7200),  # a disk made of packages, and three boots of a desktop
    pytest.mark.skipif(
        "VFIOCTL_WHOLE_WAY" not in os.environ, reason="not seen to pass whole: VFIOCTL_WHOLE_WAY=1 runs it"
    ),
]
PAGE = ROOT / "docs/tutorial/first-card.md"
CACHE = f"{os.environ.get('VFIOCTL_CACHE', '/var/lib/vfioctl-test')}/way"
PATIENCE = float(os.environ.get("LAB_PATIENCE", "2"))
DEADLINE = 1800.0  # of what is typed between two boots


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if os.geteuid() != 0:
        pytest.skip("a tree of Debian needs root")
    if why := loaders.missing():
        pytest.skip(why)
    place = tmp_path_factory.mktemp("package")
    return build(wheels(place / "wheels"), place)


def machine(place: Path, cache: Cache, debian: str, loader: str, package: Path) -> Machine:
    """One that has never run, in the directory `place`; what is to lie at hand in it is on its second disk."""
    try:
        made = loaders.cached(cache, sources.suite_of(debian), loader, PATIENCE)
    except (CannotRun, LabError) as error:
        pytest.skip(f"there is no disk of Debian {debian}: {error}")
    disk, at_hand, variables = (str(place / name) for name in ("disk.qcow2", "at-hand.tar", "variables.fd"))
    state.overlay(disk, f"{made}/disk.qcow2")
    payload.write(at_hand, files=(str(PAGE), str(package), str(tiny_guest.write_disk(place / "disk.raw"))))
    shutil.copy(loaders.VARIABLES, variables)
    return Machine("", disk, at_hand, "", firmware=(loaders.FIRMWARE, variables))


@pytest.mark.parametrize(("debian", "loader"), [("12", "grub")])
def test_the_commands_of_the_tutorial_lead_from_a_bare_host_to_a_guest_with_its_card_and_back(
    debian: str, loader: str, package: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    heard: list[Event] = []
    cache, keep = Cache(CACHE), str(tmp_path / "keep")
    with cache.locked(lambda: None):
        one = machine(tmp_path, cache, debian, loader, package)
        order = Order("tests.lab.inside.way", "begin", DEADLINE, PATIENCE, {"menu": loaders.MENU[loader]})
        with Session(one, keep, cache.path("qemu.pid"), heard.append) as session:
            last = session.run(order)
    checks = [event["name"] for event in heard if event["event"] == "check"]
    assert last["verdict"] == "passed", f"{last['why']}\nafter {checks[-5:]}; what it left: {keep}"
    assert "the file system is the first one" in checks
    if request.config.getoption("--regenerate"):
        PAGE.write_text(tutorial.answered(PAGE.read_text(), [event["said"] for event in heard if "command" in event]))
