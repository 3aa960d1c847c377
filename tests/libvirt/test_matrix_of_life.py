"""Operations on the devices and the name of a guest, killed at every boundary, with a restart of the host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from domain_operation import (
    HOTPLUG_BOUNDARIES,
    HOTPLUG_STEPS,
    RENAME_BOUNDARIES,
    DomainHost,
    HotplugHost,
    RenameHost,
    restart,
)
from operation_host import killed_at

from vfioctl.txn.plan import Unfinished

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
pytestmark = pytest.mark.matrix


@pytest.fixture
def hotplug(lab: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[HotplugHost]:
    tmp_path.chmod(0o755)
    host = HotplugHost(tmp_path, lab, f"h{abs(hash(request.node.name))}")
    yield host
    host.remove()


@pytest.fixture
def renaming(lab: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RenameHost]:
    tmp_path.chmod(0o755)
    host = RenameHost(tmp_path, lab, f"n{abs(hash(request.node.name))}")
    yield host
    host.remove()


def recover(on: DomainHost, *, uninstalled: bool = False) -> str:
    ended = on.recover_uninstalled() if uninstalled else on.command("recover")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert on.left() == ()
    return str(ended.stdout)


@pytest.mark.parametrize("number", HOTPLUG_BOUNDARIES)
def test_a_running_guest_has_its_devices_again_and_runs(hotplug: HotplugHost, number: int) -> None:
    killed_at(hotplug, number)
    recover(hotplug, uninstalled=True)
    assert hotplug.disks == hotplug.disks_before
    assert hotplug.configured == hotplug.disks_before
    assert not hotplug.is_paused


@pytest.mark.parametrize("number", HOTPLUG_BOUNDARIES)
def test_after_a_restart_its_configuration_has_them_again(hotplug: HotplugHost, number: int) -> None:
    killed_at(hotplug, number)
    restart(hotplug)
    recover(hotplug)
    assert hotplug.configured == hotplug.disks_before
    assert "ua-vfioctl" not in hotplug.xml


@pytest.mark.parametrize("number", HOTPLUG_BOUNDARIES)
def test_a_change_that_is_to_be_finished_is_finished(hotplug: HotplugHost, number: int) -> None:
    killed_at(hotplug, number, Unfinished.FINISH)
    recover(hotplug)
    assert set(hotplug.disks) == set(hotplug.configured) == {"vda", "sda", "hdc"}
    assert hotplug.is_paused


@pytest.mark.parametrize("number", range(2 * HOTPLUG_STEPS.index("pause"), HOTPLUG_BOUNDARIES[-1]))
def test_one_that_somebody_has_paused_stays_paused(hotplug: HotplugHost, number: int) -> None:
    """The disk that it has lost comes back; what nobody of ours has paused is left."""
    killed_at(hotplug, number)
    if not hotplug.is_paused:
        hotplug.handle.suspend()
        recover(hotplug)
        assert hotplug.is_paused
    else:
        recover(hotplug)
        assert not hotplug.is_paused
    assert hotplug.configured == hotplug.disks_before


@pytest.mark.parametrize("number", RENAME_BOUNDARIES)
@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a restart"])
def test_a_guest_has_its_name_again(renaming: RenameHost, number: int, *, restarted: bool) -> None:
    killed_at(renaming, number)
    if restarted:
        restart(renaming)
    recover(renaming, uninstalled=True)
    assert renaming.handle.name() == renaming.guest
    assert renaming.is_as_before()


@pytest.mark.parametrize("number", RENAME_BOUNDARIES)
def test_a_name_that_is_to_be_finished_is_finished(renaming: RenameHost, number: int) -> None:
    killed_at(renaming, number, Unfinished.FINISH)
    recover(renaming)
    assert renaming.handle.name() == f"{renaming.guest}-new"
    assert "<on_crash>restart<" in renaming.xml
