"""Volumes above what is missing, elsewhere or no file, on a real libvirtd: each verb that would read them says so."""

from __future__ import annotations

import pytest
import snapshot_lab
from template_lab import PLACE, SOURCE, Templates

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")
pytest.importorskip("vfioctl_guest")

POOL = f"{PLACE}/fast"
NBD = 'json:{"driver":"nbd","server":{"type":"inet","host":"localhost","port":"1"},"export":"x"}'
BELOW = {
    "missing": (f"{POOL}/gone.qcow2", "volume.backing", "which is not there"),
    "lost": ("/srv/gone/base.qcow2", "volume.backing", "which is not there"),
    "server": ("nbd://localhost:1/x", "volume.backing", "which is no file"),
    "words": (NBD, "volume.backing", "which is no file"),
    "elsewhere": (SOURCE, "volume.outside", "which is in no pool of local"),
}
VERBS = {
    "clone": ("volume", "clone", "fast", "top.qcow2", "new.qcow2"),
    "linked": ("volume", "clone", "fast", "top.qcow2", "new.qcow2", "--linked"),
    "add": ("template", "add", "new", "--pool", "fast", "--volume", "fast/top.qcow2"),
    "create": ("guest", "create", "new", "--memory", "64M", "--volume", "fast/top.qcow2"),
    "attach": ("guest", "attach", "GUEST", "--volume", "fast/top.qcow2"),
}


@pytest.fixture
def on(templates: Templates) -> Templates:
    return templates


def above(on: Templates, below: str, name: str = "top") -> None:
    on.host.must("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", below, f"{POOL}/{name}.qcow2",
                 "8M")  # fmt: skip


@pytest.mark.parametrize("below", BELOW)
@pytest.mark.parametrize("verb", VERBS)
def test_what_does_not_lie_in_the_pools_is_refused(on: Templates, verb: str, below: str) -> None:
    path, code, why = BELOW[below]
    above(on, path)
    guest = snapshot_lab.Guest(on.host).name if verb == "attach" else ""
    on.cli("pool", "refresh", "fast")
    said = on.refused(code, *(guest if word == "GUEST" else word for word in VERBS[verb]))
    assert why in said
    assert f"{POOL}/top.qcow2" in said


def test_it_is_found_further_down_as_well(on: Templates) -> None:
    above(on, f"{POOL}/gone.qcow2", "middle")
    above(on, f"{POOL}/middle.qcow2")
    assert f"{POOL}/middle.qcow2 lies above" in on.refused("volume.backing", *VERBS["clone"])


def test_what_a_pool_has_not_looked_for_yet_or_knows_by_a_link_is_in_it(on: Templates) -> None:
    on.host.must("cp", SOURCE, f"{POOL}/base.qcow2")
    on.host.must("ln", "-sfn", POOL, "/var/lib/libvirt/link")
    above(on, "/var/lib/libvirt/link/base.qcow2")
    on.cli(*VERBS["clone"])


def test_disks_that_may_outgrow_their_pool_are_said(on: Templates) -> None:
    argv = ("guest", "create", "new", "--memory", "64M", "--disk", "1P", "--disk", "1P", "--pool", "fast", "--dry-run")
    assert "up to 2048.0 TiB; the pool fast has" in on.cli(*argv)
    assert "pool fast has" not in on.cli(*(word.replace("1P", "8M") for word in argv))


def test_one_that_is_bad_can_be_removed(on: Templates) -> None:
    above(on, NBD)
    on.cli("volume", "delete", "fast", "top.qcow2", "--yes")
