"""The making of a network on a real libvirtd: killed at every boundary, without plugins, beside somebody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from networks import NetworkHost, Wanted
from operation_host import killed_at

from vfioctl.txn.plan import Unfinished
from vfioctl.txn.runner import queue

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
pytestmark = pytest.mark.matrix
each_boundary = pytest.mark.parametrize("number", range(1, 7))


@pytest.fixture(scope="module")
def lab(network_lab: Any) -> Any:
    network_lab.start()
    return network_lab


@pytest.fixture
def on(lab: Any, tmp_path: Path) -> Iterator[NetworkHost]:
    tmp_path.chmod(0o755)
    host = NetworkHost(tmp_path, lab, Wanted())
    yield host
    host.remove()


def restart(on: NetworkHost) -> None:
    """The host begins anew: libvirt has started what starts with it, and nothing else is active."""
    for one in on.opened.libvirt.listAllNetworks():
        if one.isActive():
            one.destroy()
        if one.autostart():
            one.create()
    on.boot("second")


@each_boundary
@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a restart"])
def test_nothing_of_ours_is_left(on: NetworkHost, number: int, *, restarted: bool) -> None:
    killed_at(on, number)
    if restarted:
        restart(on)
    ended = on.recover_uninstalled()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert on.listed() == on.networks
    assert on.left() == ()


@pytest.mark.parametrize("number", [2, 3, 4, 6])
def test_nothing_of_ours_is_left_where_libvirtd_was_killed_too(on: NetworkHost, number: int) -> None:
    """What it has started goes on being active, with the mark of who did."""
    killed_at(on, number)
    on.lab.sigkill()
    on.lab.start()
    on.reopen()
    ended = on.recover_uninstalled()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert on.listed() == on.networks
    assert on.left() == ()


@each_boundary
def test_what_is_to_be_finished_is_finished(on: NetworkHost, number: int) -> None:
    killed_at(on, number, Unfinished.FINISH)
    ended = on.command("recover")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert on.listed()[on.wanted.name] == (on.wanted.uuid, True)
    assert on.left() == ()


def test_somebody_elses_network_of_that_name_stays(on: NetworkHost) -> None:
    """It appears between the plan and the step."""
    queue(on.node, on.plan())
    other = Wanted(on.wanted.name)
    on.opened.libvirt.networkDefineXML(other.xml).create()
    assert on.run() != 0
    assert on.listed()[other.name] == (other.uuid, True)
    assert on.left() == ()


@pytest.mark.parametrize("number", [1, 2])
def test_one_of_that_name_that_came_after_the_kill_stays_too(on: NetworkHost, number: int) -> None:
    """At the first boundary the name is free; at the second one, after somebody has taken ours away."""
    killed_at(on, number)
    if number > 1:
        on.opened.libvirt.networkLookupByUUIDString(on.wanted.uuid).undefine()
    other = Wanted(on.wanted.name)
    on.opened.libvirt.networkDefineXML(other.xml).create()
    ended = on.recover_uninstalled()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert on.listed()[other.name] == (other.uuid, True)
    assert on.left() == ()


@each_boundary
def test_somebody_elses_network_that_came_after_the_kill_stays(on: NetworkHost, number: int) -> None:
    killed_at(on, number)
    other = Wanted()
    on.opened.libvirt.networkDefineXML(other.xml).create()
    ended = on.recover_uninstalled()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert on.listed() == {**on.networks, other.name: (other.uuid, True)}
    found = on.opened.libvirt.networkLookupByUUIDString(other.uuid)
    found.destroy()
    found.undefine()
