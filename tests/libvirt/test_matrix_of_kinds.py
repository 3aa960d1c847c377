"""An operation on a guest of a real libvirtd, killed at every boundary, with a restart of the host, without plugins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from disk_images import content, fill
from domain_operation import BOUNDARIES, LIVE_BOUNDARIES, LIVE_STEPS, STEPS, DomainHost, LiveHost, restart
from operation_host import killed_at

from vfioctl.txn.plan import Unfinished

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
pytestmark = pytest.mark.matrix
each_boundary = pytest.mark.parametrize("number", BOUNDARIES)


@pytest.fixture
def on(lab: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[DomainHost]:
    tmp_path.chmod(0o755)
    host = DomainHost(tmp_path, lab, f"m{abs(hash(request.node.name))}")
    yield host
    host.remove()


@pytest.fixture
def running(lab: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LiveHost]:
    tmp_path.chmod(0o755)
    host = LiveHost(tmp_path, lab, f"l{abs(hash(request.node.name))}")
    yield host
    host.remove()


def recover(on: DomainHost) -> str:
    ended = on.command("recover")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@each_boundary
@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a restart"])
def test_the_guest_is_as_before_and_nothing_of_ours_is_left(on: DomainHost, number: int, *, restarted: bool) -> None:
    killed_at(on, number)
    if restarted:
        restart(on)
    ended = on.recover_uninstalled()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert on.is_as_before()
    assert on.files() == on.before
    assert on.left() == ()


@each_boundary
def test_what_is_to_be_finished_is_finished(on: DomainHost, number: int) -> None:
    killed_at(on, number, Unfinished.FINISH)
    restart(on)
    recover(on)
    assert on.made() == on.ours
    assert "overlay.qcow2" in on.xml
    assert on.handle.snapshotListNames() == ["before"]
    assert on.handle.isActive() == (number < BOUNDARIES[-1]), "a start that was done is not done again"
    assert on.left() == ()


@pytest.mark.parametrize("number", range(2 * STEPS.index("define") + 2, BOUNDARIES[-1]))
def test_a_guest_that_somebody_has_used_meanwhile_keeps_its_disk(on: DomainHost, number: int) -> None:
    """Nothing that it has written is lost, and recover says what stays."""
    killed_at(on, number)
    if not on.handle.isActive():
        on.handle.create()
    on.handle.destroy()
    fill(on.root / "srv/overlay.qcow2", 9, 3)
    seen = content(on.root / "srv/overlay.qcow2")
    said = recover(on)
    assert "keeps its configuration" in said
    assert "written to since" in said
    assert "overlay.qcow2" in on.xml
    assert content(on.root / "srv/overlay.qcow2") == seen
    assert on.handle.snapshotNum() == 0
    assert on.left() == ()


@pytest.mark.parametrize("number", range(2 * STEPS.index("define") + 1, BOUNDARIES[-1]))
def test_what_somebody_edited_meanwhile_stays(on: DomainHost, number: int) -> None:
    killed_at(on, number)
    edited = on.xml.replace("<on_crash>destroy<", "<on_crash>preserve<")
    on.handle.connect().defineXML(edited)
    said = recover(on)
    assert on.xml == edited
    assert on.handle.snapshotNum() == 0
    kept = "overlay.qcow2" in edited
    assert (on.root / "srv/overlay.qcow2").exists() == kept, "a guest that keeps its configuration keeps its disk"
    assert ("is needed by a guest" in said) == kept


# A guest that runs


@pytest.mark.parametrize("number", LIVE_BOUNDARIES)
def test_a_running_guest_is_on_its_disk_again_and_nothing_of_ours_is_left(running: LiveHost, number: int) -> None:
    killed_at(running, number)
    ended = running.recover_uninstalled()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert running.is_as_before()
    assert sorted(running.files()) == sorted(running.before)
    assert running.left() == ()
    running.handle.destroy()
    assert content(running.disk) == running.seen


@pytest.mark.parametrize("number", LIVE_BOUNDARIES)
def test_after_a_restart_its_disks_fit_its_configuration_and_no_byte_is_lost(running: LiveHost, number: int) -> None:
    """A snapshot that was made stays, as the guest has left its old disk; one that was not leaves nothing."""
    killed_at(running, number)
    restart(running)
    said = recover(running)
    made = number > 2 * LIVE_STEPS.index("live") + 1
    disk = running.disks["vda"]
    assert disk == str(running.root / "srv/overlay.qcow2" if made else running.disk)
    assert content(disk) == running.seen
    assert ("It stays." in said) == made
    assert sorted(running.handle.snapshotListNames()) == (["now", "old"] if made else ["old"])
    assert running.left() == ()


@pytest.mark.parametrize("number", LIVE_BOUNDARIES)
def test_a_snapshot_of_a_running_guest_that_is_to_be_finished_is_finished(running: LiveHost, number: int) -> None:
    killed_at(running, number, Unfinished.FINISH)
    recover(running)
    assert running.disks == {"vda": str(running.root / "srv/overlay.qcow2")}
    assert running.handle.snapshotListNames() == ["now"]
    assert running.left() == ()
