"""Guests from a profile on a real libvirtd: what it chooses, what is typed over it, and a wrong one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import snapshot_lab

pytest.importorskip("libvirt")
for plugin in ("guest", "storage"):
    pytest.importorskip(f"vfioctl_{plugin}")

PLACE = "/etc/vfioctl/profiles"
SMALL = 'description = "small ones"\\nmemory = "64M"\\ncpus = 2\\npool = "images"\\ndisk = ["16M"]\\n'


@pytest.fixture
def profiled(host: Any) -> Iterator[Any]:
    """The host with a pool and the profile "small"."""
    write(host, "small", SMALL)
    host.said("pool", "create", "images", "--path", snapshot_lab.IMAGES)
    yield host
    host.said("pool", "delete", "images", "--yes")
    host.must("rm", "-r", PLACE)


def write(host: Any, name: str, text: str) -> None:
    host.must("sh", "-c", f"mkdir -p -m 0755 {PLACE}; printf '{text}' > {PLACE}/{name}.toml; chmod 644 {PLACE}/*")


def test_guests_are_made_as_it_chooses_and_as_it_was_typed(profiled: Any) -> None:
    shown = profiled.said("guest", "create", "web", "--profile", "small", "--cpus", "1", "--dry-run")
    assert "From the profile small:" in shown
    assert f"--memory 64M   {PLACE}/small.toml:2" in shown
    assert "--cpus" not in shown.partition("Would be done")[0]
    made = ("guest", "create", "web", "--profile", "small", "--cpus", "1", "--count", "2", "--format", "json")
    data = json.loads(profiled.said(*made))["data"]
    assert data["profile"]["settings"]["disk"] == {"value": ["16M"], "origin": f"{PLACE}/small.toml:5"}
    for one in data["guests"]:
        assert (one["guest"]["cpus"], one["guest"]["memory"]) == (1, 64 << 20)
        assert one["guest"]["disks"][0]["source"].startswith(snapshot_lab.IMAGES)
        profiled.said("guest", "delete", one["name"], "--yes")
    assert profiled.left_open() == []


def test_a_wrong_one_makes_nothing_and_is_listed_with_its_reason(profiled: Any) -> None:
    write(profiled, "wrong", 'memory = "64M"\\ncpu = 2\\n')
    said = profiled.said("guest", "create", "web", "--profile", "wrong", status=3)
    assert f'{PLACE}/wrong.toml:2: cpu: there is no such setting; did you mean "cpus"? [config.unknown]' in said
    said = profiled.said("guest", "profile", "list", status=1)
    assert "small ones" in said
    assert "did you mean" in said
    assert "--cpus 2" in profiled.said("guest", "profile", "show", "small")
    assert "[profile.unknown]" in profiled.said("guest", "profile", "show", "smal", status=3)


def test_one_that_others_may_write_is_not_obeyed(profiled: Any) -> None:
    profiled.must("chmod", "666", f"{PLACE}/small.toml")
    assert "[config.writable]" in profiled.said("guest", "create", "web", "--profile", "small", status=3)
    assert profiled.lab.virsh("list", "--all", "--name").stdout.split() == []
