"""`vfioctl setup` where a real boot loader boots: the next boot has the words, and after undo no longer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import boot_machine
import pytest
from boot_machine import Disks, Machine
from debian_package import build
from wheel_set import wheels

from tests.lab import loaders

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(3600)]  # disks made of packages, and four boots
ON, OFF = "intel_iommu=on", "intel_iommu=off"
FILES = "find /etc /boot /efi /usr/local -xdev -type f -exec sha256sum {} +"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if os.geteuid() != 0:
        pytest.skip("a tree of Debian needs root")
    if why := boot_machine.missing():
        pytest.skip(why)
    place = tmp_path_factory.mktemp("package")
    return build(wheels(place / "wheels"), place)


@pytest.fixture(params=loaders.PACKAGES)
def machine(request: pytest.FixtureRequest, package: Path, tmp_path: Path) -> Iterator[Machine]:
    """One that has booted by its loader's own menu."""
    made = Machine(Disks(tmp_path, request.param, package))
    try:
        made.run(loaders.MENU[request.param])
        made.restart()
        yield made
    finally:
        made.close()


def words(machine: Machine) -> list[str]:
    return machine.run("cat /proc/cmdline").split()


def files(machine: Machine) -> dict[str, str]:
    """The checksum of each file that a set-up might touch."""
    lines = (line.split(maxsplit=1) for line in machine.run(FILES).splitlines())
    return {path: checksum for checksum, path in lines}


def test_the_iommu_is_on_from_the_next_boot_on_and_undo_takes_that_back(machine: Machine) -> None:
    first, before = words(machine), files(machine)
    assert OFF in first
    assert machine.run("ls /sys/class/iommu").split() == []
    assert "iommu.kernel_off" in machine.run("vfioctl doctor --format json; true")
    assert "change" in machine.run("vfioctl setup --yes")
    machine.restart()
    assert sorted(words(machine)) == sorted({*first, ON} - {OFF})
    assert machine.run("ls /sys/class/iommu").split() != []
    found = json.loads(machine.run("vfioctl doctor --format json; true"))
    assert [one for one in _codes(found) if one.startswith(("iommu.", "setup."))] == []
    machine.run("vfioctl setup --undo --yes")
    assert files(machine) == before
    machine.restart()
    assert words(machine) == first


def _codes(found: dict[str, object]) -> list[str]:
    text = json.dumps(found)
    return [part.partition('"')[0] for part in text.split('"code": "')[1:]]
